//! Devices, and published figures.

use super::Check;
use super::names::{noun, sheet_name};
use crate::catalog::{DEVICES, DeviceSheet};
use crate::scenario::Published;
use crate::scenario::file::PublishedSection;
use crate::serving::{DevicePlan, DeviceSection};
use crate::world::ClusterPlan;

/// The boundaries of the ledger.
const BOUNDARIES: [&str; 4] = ["B1", "B2", "B3", "B4"];

impl Check<'_> {
    /// The checked devices; one that is wrong is `None`.
    pub(super) fn devices(&mut self, clusters: &[Option<ClusterPlan>]) -> Vec<Option<DevicePlan>> {
        let typed = self.typed;
        typed.file.device.iter().map(|(name, section)| self.device(name, section, clusters)).collect()
    }

    fn device(&mut self, name: &str, section: &DeviceSection, clusters: &[Option<ClusterPlan>]) -> Option<DevicePlan> {
        let at = |key| ["device", name, key];
        let sheet = self.sheet(&at("preset"), &section.preset, DEVICES, "devices");
        let model = self.model(&at("model"), &section.model);
        let service = self.device_service(name, section);
        let fine = [
            self.is_plain_name(&["device", name], name),
            section.prompts_per_day.as_f64() > 0.0 || self.no(&at("prompts_per_day"), "must be above zero"),
        ];
        let sheet = sheet.filter(|sheet| self.device_works(name, sheet));
        if fine.contains(&false) || !self.typed.sound(&["device", name]) {
            return None;
        }
        let (sheet, model, service) = (sheet?, model?, service?);
        let weights = model.parameters * sheet.bytes_per_parameter.as_f64();
        if weights > sheet.memory.count() as f64 {
            let message =
                format!("does not fit the device: {:.1} GB of weights, {} of memory", weights / 1e9, sheet.memory);
            self.refuse(&at("model"), message, "use a smaller model, such as \"llama-3.1-8b\"".to_owned());
            return None;
        }
        self.note("device", name, "model", sheet_name(&section.model));
        Some(DevicePlan {
            name: name.to_owned(),
            sheet,
            model,
            model_name: sheet_name(&section.model).to_owned(),
            prompts_per_day: section.prompts_per_day.as_f64(),
            service,
            site: self.site_of_service(service, clusters)?,
        })
    }

    fn device_works(&mut self, name: &str, sheet: &DeviceSheet) -> bool {
        let path = ["device", name, "preset"];
        let fine = [
            sheet.bandwidth.as_f64() * sheet.efficiency.as_f64() > 0.0
                || self.no(&path, "needs `bandwidth` and `efficiency` above zero"),
            sheet.bytes_per_parameter.as_f64() > 0.0 || self.no(&path, "needs `bytes_per_parameter` above zero"),
            sheet.prefill.as_f64() > 0.0 || self.no(&path, "needs `prefill` above zero"),
        ];
        !fine.contains(&false)
    }

    /// The service whose prompts the device answers: the named one, else the only one.
    fn device_service(&mut self, name: &str, section: &DeviceSection) -> Option<usize> {
        if let Some(service) = &section.service {
            return self.section(&["device", name, "service"], "service", service);
        }
        let services: Vec<String> = self.typed.file.service.keys().map(|name| format!("{name:?}")).collect();
        match services.len() {
            1 => Some(0),
            0 if self.typed.was_written(&["service"]) => None,
            0 => {
                let help = "add a section [service.<name>], or take the device out".to_owned();
                self.refuse(&["device", name], "answers the prompts of a service, but there is none", help);
                None
            }
            _ => {
                let help = format!("add service = …, one of {}", services.join(", "));
                self.refuse(&["device", name], "does not say which service's prompts it answers", help);
                None
            }
        }
    }

    fn site_of_service(&self, service: usize, clusters: &[Option<ClusterPlan>]) -> Option<usize> {
        let file = &self.typed.file;
        let cluster = &file.service.values().nth(service)?.cluster;
        clusters[file.cluster.keys().position(|name| name == cluster)?].as_ref().map(|cluster| cluster.site)
    }

    /// The published figures; one that is wrong is `None`.
    pub(super) fn published(&mut self) -> Vec<Option<Published>> {
        let typed = self.typed;
        typed.file.published.iter().map(|(id, section)| self.figure(id, section)).collect()
    }

    fn figure(&mut self, id: &str, section: &PublishedSection) -> Option<Published> {
        let at = |key| ["published", id, key];
        let fine = [
            self.is_subject(&at("subject"), &section.subject),
            section.value != 0.0 || self.no(&at("value"), "is zero: a band in percent of it has no width"),
            section.band_pct >= 0.0 || self.no(&at("band_pct"), "must not be negative"),
        ];
        let boundary = section.boundary.clone().unwrap_or_default();
        let known = boundary.is_empty() || BOUNDARIES.contains(&boundary.as_str());
        if !known {
            self.refuse(&at("boundary"), format!("{boundary:?} is no boundary"), "one of B1, B2, B3, B4".to_owned());
        }
        (known && !fine.contains(&false)).then(|| Published {
            id: id.to_owned(),
            subject: section.subject.clone(),
            metric: section.metric.clone(),
            boundary,
            value: section.value,
            unit: section.unit.clone(),
            band_pct: section.band_pct,
            replications: section.replications.unwrap_or(std::num::NonZeroU64::MIN),
            source: section.source.clone(),
            kind: section.kind,
        })
    }

    fn is_subject(&mut self, path: &[&str], subject: &str) -> bool {
        if ["total", "comparison"].contains(&subject) {
            return true;
        }
        match subject.split_once('.') {
            Some((kind @ ("training" | "service" | "device" | "cluster" | "site"), name)) => {
                self.typed.was_written(&[kind, name]) || {
                    let message = format!("names the {} {name:?}, which does not exist", noun(kind));
                    self.refuse(path, message, None);
                    false
                }
            }
            _ => {
                let help = "write training.<name>, service.<name>, device.<name>, cluster.<name>, site.<name>, comparison or total";
                self.refuse(path, format!("{subject:?} is no subject of the outputs"), help.to_owned());
                false
            }
        }
    }
}
