//! The logical processes of a run.

use super::Load;
use crate::engine::Process;
use crate::ledger::{Book, Draw, ServiceFacts};
use crate::serving::{Cell, Fluid, Laptop};
use crate::training::Job;
use crate::units::{SimTime, Watts};
use crate::world::NodeSet;

/// One logical process: a training job, a service cell, a fluid service, or a device.
#[derive(Debug)]
pub enum Lp {
    /// A training job.
    Job(Box<Job>),
    /// A router and up to 64 replicas, every request, and how many cells of its service it stands for.
    Cell(Box<Cell>, u32),
    /// A whole service by response tables.
    Fluid(Box<Fluid>),
    /// A device, the smallest service.
    Device(Box<Laptop>),
}

impl Process for Lp {
    fn next_time(&self) -> SimTime {
        match self {
            Lp::Job(job) => job.next_time(),
            Lp::Cell(cell, _) => cell.next_time(),
            Lp::Fluid(fluid) => fluid.next_time(),
            Lp::Device(device) => device.next_time(),
        }
    }

    fn run_until(&mut self, edge: SimTime) -> u64 {
        match self {
            Lp::Job(job) => job.run_until(edge),
            Lp::Cell(cell, _) => cell.run_until(edge),
            Lp::Fluid(fluid) => fluid.run_until(edge),
            Lp::Device(device) => device.run_until(edge),
        }
    }
}

/// What power control sees and does.
impl Lp {
    /// What its nodes draw at this instant.
    pub(super) fn loads(&self, visit: &mut dyn FnMut(&NodeSet, Load)) {
        let load = |draw: Draw, level, held: bool| Load {
            gpus: draw.gpus,
            power: draw.accelerator + draw.host,
            held: if held { draw.accelerator } else { Watts::ZERO },
            level,
        };
        match self {
            Lp::Job(job) => job.draws(&mut |nodes, draw, level, held| visit(nodes, load(draw, level, held))),
            Lp::Cell(cell, count) => cell.draws(&mut |nodes, draw, level, held| {
                let Draw { gpus, accelerator, host } = draw;
                let (accelerator, host) = (accelerator * u64::from(*count), host * u64::from(*count));
                visit(nodes, load(Draw { gpus: gpus * count, accelerator, host }, level, held));
            }),
            Lp::Fluid(fluid) => {
                let all = NodeSet::default();
                fluid.draws(&mut |draw, level, held| visit(&all, load(draw, level, held)));
            }
            Lp::Device(_) => {}
        }
    }

    /// Holds its nodes at the levels of power control that `level` gives.
    pub(super) fn hold(&mut self, at: SimTime, level: &dyn Fn(&NodeSet) -> u8) {
        match self {
            Lp::Job(job) => job.hold(at, level),
            Lp::Cell(cell, _) => cell.hold(at, level),
            Lp::Fluid(fluid) => fluid.hold(at, level(&NodeSet::default())),
            Lp::Device(_) => {}
        }
    }
}

impl Lp {
    /// The training job that this process is.
    pub(super) fn into_job(self) -> Job {
        match self {
            Lp::Job(job) => *job,
            _ => unreachable!("jobs come first"),
        }
    }

    /// Book and facts of a service's process; of a cell, its own, whatever it stands for.
    pub(super) fn close_service(self, horizon: SimTime) -> (Book, ServiceFacts) {
        match self {
            Lp::Cell(cell, _) => cell.close(horizon),
            Lp::Fluid(fluid) => fluid.close(horizon),
            Lp::Device(device) => device.close(horizon),
            Lp::Job(_) => unreachable!("jobs come first and are closed"),
        }
    }
}
