//! A share of a sweep's runs, K of N: by number, or as the engine that started us says in its environment.

use std::num::NonZeroU64;

/// Which share, from 1, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    which: u64,
    of: NonZeroU64,
}

/// An engine's variables: which task, the first task's number, and how many tasks, where it says so.
struct Engine {
    which: &'static str,
    first: First,
    count: Option<&'static str>,
}

/// The number of the first task.
enum First {
    Is(u64),
    /// This variable says it.
    Said(&'static str),
}

const ENGINES: [Engine; 4] = [
    // sbatch(1), "OUTPUT ENVIRONMENT VARIABLES".
    Engine {
        which: "SLURM_ARRAY_TASK_ID",
        first: First::Said("SLURM_ARRAY_TASK_MIN"),
        count: Some("SLURM_ARRAY_TASK_COUNT"),
    },
    // HyperQueue's documentation, "Task arrays": ids are those of --array, which our scripts begin with 1.
    Engine { which: "HQ_TASK_ID", first: First::Is(1), count: None },
    // Kubernetes' documentation, "Jobs", completion mode Indexed.
    Engine { which: "JOB_COMPLETION_INDEX", first: First::Is(0), count: None },
    // Open MPI's documentation, "Environment variables set at run time".
    Engine { which: "OMPI_COMM_WORLD_RANK", first: First::Is(0), count: Some("OMPI_COMM_WORLD_SIZE") },
];

impl Shard {
    /// All runs.
    pub const ALL: Shard = Shard { which: 1, of: NonZeroU64::MIN };

    /// The share that `text` names: `K/N`, `auto/N` or `auto`, the last two by the `environment`.
    ///
    /// # Errors
    /// What is wrong with it, and what would do.
    pub fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
        let (which, of) = match text.split_once('/') {
            Some((which, of)) => (which, Some(of.parse().map_err(|_| shape(text))?)),
            None => (text, None),
        };
        match (which, of) {
            ("auto", of) => auto(of, environment),
            (which, Some(of)) => Shard::new(which.parse().map_err(|_| shape(text))?, of),
            (_, None) => Err(shape(text)),
        }
    }

    fn new(which: u64, of: NonZeroU64) -> Result<Shard, String> {
        let fits = (1..=of.get()).contains(&which);
        fits.then_some(Shard { which, of })
            .ok_or_else(|| format!("there is no shard {which} of {of}: they are 1 to {of}"))
    }

    /// The runs among the first `runs` that are its own: every N-th, so that dear cells are spread over all shards.
    pub fn runs(self, runs: u64) -> impl Iterator<Item = u64> {
        let step = usize::try_from(self.of.get()).unwrap_or(usize::MAX);
        (self.which - 1..runs).step_by(step)
    }

    /// The file that its records are added to.
    #[must_use]
    pub fn file(self) -> String {
        format!("shard-{}-of-{}.jsonl", self.which, self.of)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.which, self.of)
    }
}

fn shape(text: &str) -> String {
    format!("--shard takes K/N, such as 3/16, auto/N or auto, found {text:?}")
}

fn auto(of: Option<NonZeroU64>, environment: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let set: Vec<&Engine> = ENGINES.iter().filter(|engine| environment(engine.which).is_some()).collect();
    let names = |engines: &[&Engine]| engines.iter().map(|engine| engine.which).collect::<Vec<_>>().join(", ");
    let [engine] = set.as_slice() else {
        return Err(if set.is_empty() {
            let all: Vec<&Engine> = ENGINES.iter().collect();
            format!("--shard auto needs one of {} in the environment; else name the shard, --shard K/N", names(&all))
        } else {
            let set = names(&set);
            format!(
                "--shard auto cannot tell which of {set} says the shard; name it, such as --shard $SLURM_ARRAY_TASK_ID/N"
            )
        });
    };
    let number = |name: &str| -> Result<u64, String> {
        let text = environment(name).ok_or_else(|| format!("{} is set and {name} is not", engine.which))?;
        text.parse().map_err(|_| format!("{name} is {text:?}, no number"))
    };
    let first = match engine.first {
        First::Is(first) => first,
        First::Said(name) => number(name)?,
    };
    let which = number(engine.which)?;
    let counted = engine.count.map(number).transpose()?;
    let of = match (of, counted) {
        // With the number of shards given, the tasks may be any part of them, as when some run again.
        (Some(of), _) => return Shard::new(shifted(which, First::given(&engine.first)), of),
        (None, Some(count)) => NonZeroU64::new(count).ok_or_else(|| format!("{} counts no task", engine.which))?,
        (None, None) => {
            return Err(format!("{} says which shard and nothing says of how many; use --shard auto/N", engine.which));
        }
    };
    Shard::new(shifted(which, first), of).map_err(|_| {
        format!(
            "{} is {which} of {of} tasks from {first}, so the tasks have gaps; say how many shards there are, --shard auto/N",
            engine.which
        )
    })
}

impl First {
    /// Where tasks begin if N is given: with 1 where the engine leaves the choice.
    fn given(&self) -> u64 {
        match self {
            First::Is(first) => *first,
            First::Said(_) => 1,
        }
    }
}

/// The shard of task `which`, if the first task is `first`.
fn shifted(which: u64, first: u64) -> u64 {
    which.wrapping_sub(first).wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<String, String> {
        let look =
            |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Shard::parse(text, look).map(|shard| shard.to_string())
    }

    const SLURM: [(&str, &str); 3] =
        [("SLURM_ARRAY_TASK_ID", "7"), ("SLURM_ARRAY_TASK_MIN", "5"), ("SLURM_ARRAY_TASK_COUNT", "4")];

    #[test]
    fn numbers_and_engines() {
        let said = |text: &str, environment: &[(&str, &str)]| parse(text, environment).unwrap();
        assert_eq!(said("3/16", &[]), "3/16");
        assert_eq!(said("3/16", &SLURM), "3/16", "a number needs no engine");
        assert_eq!(said("auto", &SLURM), "3/4");
        assert_eq!(said("auto/16", &SLURM), "7/16", "some tasks of an array of 16 that run again");
        assert_eq!(said("auto/16", &[("HQ_TASK_ID", "16")]), "16/16");
        assert_eq!(said("auto/16", &[("JOB_COMPLETION_INDEX", "0")]), "1/16");
        assert_eq!(said("auto", &[("OMPI_COMM_WORLD_RANK", "7"), ("OMPI_COMM_WORLD_SIZE", "8")]), "8/8");
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        let gaps = [("SLURM_ARRAY_TASK_ID", "7"), ("SLURM_ARRAY_TASK_MIN", "3"), ("SLURM_ARRAY_TASK_COUNT", "2")];
        let both = [("SLURM_ARRAY_TASK_ID", "7"), ("OMPI_COMM_WORLD_RANK", "0")];
        type Environment<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&str, Environment<'_>, &str); 11] = [
            ("3", &[], "--shard takes K/N, such as 3/16, auto/N or auto, found \"3\""),
            ("a/b", &[], "--shard takes K/N, such as 3/16, auto/N or auto, found \"a/b\""),
            ("0/4", &[], "there is no shard 0 of 4: they are 1 to 4"),
            ("5/4", &[], "there is no shard 5 of 4: they are 1 to 4"),
            ("1/0", &[], "--shard takes K/N, such as 3/16, auto/N or auto, found \"1/0\""),
            (
                "auto",
                &[],
                "--shard auto needs one of SLURM_ARRAY_TASK_ID, HQ_TASK_ID, JOB_COMPLETION_INDEX, OMPI_COMM_WORLD_RANK in the \
                 environment; else name the shard, --shard K/N",
            ),
            (
                "auto/4",
                &both,
                "--shard auto cannot tell which of SLURM_ARRAY_TASK_ID, OMPI_COMM_WORLD_RANK says the shard; name it, such as \
                 --shard $SLURM_ARRAY_TASK_ID/N",
            ),
            (
                "auto",
                &gaps,
                "SLURM_ARRAY_TASK_ID is 7 of 2 tasks from 3, so the tasks have gaps; say how many shards there are, --shard auto/N",
            ),
            (
                "auto",
                &[("HQ_TASK_ID", "1")],
                "HQ_TASK_ID says which shard and nothing says of how many; use --shard auto/N",
            ),
            ("auto", &[("OMPI_COMM_WORLD_RANK", "1")], "OMPI_COMM_WORLD_RANK is set and OMPI_COMM_WORLD_SIZE is not"),
            ("auto/4", &[("HQ_TASK_ID", "x")], "HQ_TASK_ID is \"x\", no number"),
        ];
        for (text, environment, words) in cases {
            assert_eq!(parse(text, environment).unwrap_err(), words, "{text} {environment:?}");
        }
    }

    #[test]
    fn shards_share_all_runs_out() {
        for of in 1..=7 {
            let of = NonZeroU64::new(of).unwrap();
            let mut all: Vec<u64> = (1..=of.get()).flat_map(|which| Shard::new(which, of).unwrap().runs(20)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..20).collect::<Vec<_>>(), "{of} shards");
        }
    }
}
