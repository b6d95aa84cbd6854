//! `scheduler = { backfill = {} }`: EASY (Lifka, JSSPP 1995, doi 10.1007/3-540-60153-8_35).
//!
//! The first that does not fit gets a reservation: the earliest instant at which, by the estimates of those that run, enough
//! nodes are free. A later gang starts now where it fits and either ends before that instant, by its own estimate, or takes only
//! nodes that the first leaves over then. So the reservation never moves later while estimates hold: a gang that ends early moves
//! it forward, a training job that a failure delays moves it back. Where those that run could not make room (a service or the
//! repair shop has the rest) there is nothing to delay, and everybody may overtake.
//!
//! Behind a first that wants less than a node nobody overtakes: it waits only when the halls are full.

use super::{Decision, Reservation, View, Waiting, first_that_fits};
use crate::world::Need;
use schemars::JsonSchema;
use serde::Deserialize;

/// The highest priority first, equals in order of submission; later gangs may overtake where that does not delay the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backfill {
    /// How many gangs behind the first are looked at.
    pub depth: u32,
}

impl Default for Backfill {
    fn default() -> Backfill {
        // Slurm's bf_max_job_test defaults to 500 (slurm.conf).
        Backfill { depth: 500 }
    }
}

impl Backfill {
    pub(super) fn next(self, view: &View<'_>) -> Option<Decision> {
        if let Some(start) = first_that_fits(view) {
            return Some(start);
        }
        let Need::Nodes(wanted) = view.queue.first()?.need else { return None };
        if !view.hall.fits(Need::Share(1)) {
            return None;
        }
        let reservation = view.running.reservation(view.hall.free(), wanted);
        let mut behind = view.queue.iter().skip(1).take(self.depth as usize);
        behind.find(|gang| may_overtake(view, gang, reservation)).map(|gang| Decision::Start(*gang))
    }
}

/// True where `gang` fits now and leaves the reservation standing.
fn may_overtake(view: &View<'_>, gang: &Waiting, reservation: Option<Reservation>) -> bool {
    if !view.hall.fits(gang.need) {
        return false;
    }
    let Some(reservation) = reservation else { return true };
    let ends = view.now + gang.estimate;
    let nodes = match gang.need {
        Need::Nodes(nodes) => nodes,
        Need::Share(gpus) => match view.hall.room_for(gpus).map(|node| view.running.shared_until(node)) {
            // It sits on a node that others keep as long, or that the reservation does without.
            Some(until) if ends <= until || until > reservation.at => return true,
            _ => 1,
        },
    };
    ends <= reservation.at || nodes <= reservation.left_over
}
