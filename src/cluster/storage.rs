//! Stores that the training jobs of a cluster share: at each edge every transfer under way gets its part of the bandwidth.
//!
//! Processor sharing with limits: all get as much as any other, none more than it takes alone, and what one leaves goes to the rest.
//! Each event of a job that has a copy in a store is an edge, so that parts change when a transfer begins or ends.

use super::Lp;
use super::control::{job, job_mut};
use crate::training::JobPlan;
use crate::units::{BytesPerSecond, SimTime};

/// All stores of a run.
#[derive(Debug)]
pub(super) struct Storage {
    stores: Vec<Shared>,
}

/// One store, or several of one cluster, and who uses them.
#[derive(Debug)]
struct Shared {
    bandwidths: Vec<BytesPerSecond>,
    /// Processes of the jobs.
    users: Vec<usize>,
}

impl Storage {
    pub(super) fn new(plans: &[JobPlan]) -> Storage {
        let mut clusters: Vec<usize> = plans.iter().map(|plan| plan.cluster).collect();
        clusters.sort_unstable();
        clusters.dedup();
        let shared = |cluster: usize| {
            let mine = plans.iter().enumerate().filter(|(_, plan)| plan.cluster == cluster);
            let users = mine.clone().filter(|(_, plan)| plan.checkpoint.iter().any(|(_, tier)| tier.store.is_some()));
            let users: Vec<usize> = users.map(|(index, _)| index).collect();
            let (_, plan) = mine.clone().next()?;
            let bandwidths = plan.stores.iter().map(|store| store.bandwidth).collect();
            (!users.is_empty()).then_some(Shared { bandwidths, users })
        };
        Storage { stores: clusters.into_iter().filter_map(shared).collect() }
    }

    /// When something happens next to one of the jobs that share a store.
    pub(super) fn next_edge(&self, processes: &[Lp]) -> SimTime {
        let users = self.stores.iter().flat_map(|shared| &shared.users);
        users.map(|&user| crate::engine::Process::next_time(job(processes, user))).min().unwrap_or(SimTime::NEVER)
    }

    /// Gives every transfer under way its part from `now` on.
    pub(super) fn at_edge(&self, now: SimTime, processes: &mut [Lp]) {
        for Shared { bandwidths, users } in &self.stores {
            let transfers: Vec<Vec<_>> = users.iter().map(|&user| job(processes, user).transfers()).collect();
            let mut slow: Vec<Vec<f64>> = transfers.iter().map(|mine| vec![1.0; mine.len()]).collect();
            for (store, &bandwidth) in bandwidths.iter().enumerate() {
                let places = transfers.iter().enumerate().flat_map(|(user, mine)| {
                    let here = mine.iter().enumerate().filter(|(_, transfer)| transfer.store == store);
                    here.map(move |(place, transfer)| (user, place, transfer.rate))
                });
                let places: Vec<_> = places.collect();
                let rates: Vec<f64> = places.iter().map(|(_, _, rate)| rate.as_f64()).collect();
                for ((user, place, _), times) in places.into_iter().zip(shares(bandwidth.as_f64(), &rates)) {
                    slow[user][place] = times;
                }
            }
            for (&user, slow) in users.iter().zip(&slow) {
                job_mut(processes, user).share(now, slow);
            }
        }
    }
}

/// How many times as long each transfer takes as alone, where together they get `bandwidth`.
fn shares(bandwidth: f64, rates: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..rates.len()).collect();
    order.sort_by(|&one, &other| rates[one].total_cmp(&rates[other]).then(one.cmp(&other)));
    let (mut left, mut slow) = (bandwidth, vec![1.0; rates.len()]);
    for (place, index) in order.into_iter().enumerate() {
        let given = rates[index].min(left / (rates.len() - place) as f64);
        left -= given;
        slow[index] = rates[index] / given;
    }
    slow
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn what_one_leaves_goes_to_the_rest() {
        assert_eq!(shares(10.0, &[10.0]), [1.0]);
        assert_eq!(shares(10.0, &[10.0, 10.0]), [2.0, 2.0]);
        assert_eq!(shares(10.0, &[2.0, 10.0, 10.0]), [1.0, 2.5, 2.5]);
        assert_eq!(shares(10.0, &[20.0]), [2.0], "a store slower than what writes to it");
        assert_eq!(shares(10.0, &[1.0, 2.0]), [1.0, 1.0]);
    }
}
