//! What the figures of a scenario depend on, as one text: two scenarios of one essence are one scenario, however they were
//! written.

use super::Scenario;

impl Scenario {
    /// All that a run depends on but the replication: the checked plans, in which defaults, units, catalog names and the rows
    /// of data files are resolved. The text is for hashing and means nothing to another version of the model.
    #[must_use]
    pub fn essence(&self) -> String {
        // Taken apart by name, so that a new field has to be put on one side or the other.
        let Scenario {
            name: _,
            timelines: _,
            replication: _,
            published: _,
            sections: _,
            manifest: _,
            inputs: _,
            data: _,
            notes: _,
            // Runs of their own, which move no figure of this one.
            reruns: _,
            seed,
            start,
            horizon,
            step,
            sites,
            capping,
            clusters,
            schedulers,
            maintenance,
            jobs,
            workloads,
            services,
            devices,
        } = self;
        let places = (sites, capping, clusters, schedulers, maintenance);
        let tenants = (jobs, workloads, services, devices);
        format!("{:?}", (seed, start, horizon, step, places, tenants))
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse;

    const TEXT: &str = "name = \"a\"\nstart = \"2026-01-01T00:00:00Z\"\nduration = \"54 d\"\n\
        [site.x]\ngrid = \"erco\"\ntariff = { flat = \"$0.08/kWh\" }\n\
        [cluster.main]\nsite = \"x\"\nnode = \"dgx-h100\"\nnodes = 256\nfailures = { preset = \"llama3-h100\" }\n\
        [training.job]\ncluster = \"main\"\nmodel = \"llama-3.1-405b\"\nnodes = 128\ntokens = 1e12\nmfu = 0.4\n\
        checkpoint.remote = { every = \"1 h\", blocking = \"2 s\" }\n";

    fn essence(text: &str) -> String {
        parse("test.toml", text).map(|scenario| scenario.essence()).unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn writing_it_otherwise_changes_nothing() {
        let base = essence(TEXT);
        let others = [
            TEXT.replace("mfu = 0.4", "# A remark.\nmfu   = 0.40"),
            TEXT.replace("\"1 h\"", "\"60 min\"").replace("1e12", "1_000_000_000_000"),
            TEXT.replace("name = \"a\"", "seed = 1\nname = \"b\""),
            TEXT.replace("mfu = 0.4", "spares = { hot = 0, cold = 0 }\nmfu = 0.4"),
            TEXT.replace(
                "nodes = 256\nfailures = { preset = \"llama3-h100\" }",
                "failures.preset = \"llama3-h100\"\nnodes = 256",
            ),
            TEXT.replace("{ every = \"1 h\", blocking = \"2 s\" }", "{ blocking = \"2 s\", every = \"1 h\" }"),
        ];
        for other in others {
            assert!(essence(&other) == base, "{other}");
        }
    }

    #[test]
    fn every_change_that_matters_changes_it() {
        let base = essence(TEXT);
        let others = [
            ("54 d", "55 d"),
            ("2026-01-01", "2026-01-02"),
            ("name", "seed = 2\nname"),
            ("erco", "bpat"),
            ("$0.08", "$0.09"),
            ("dgx-h100", "dgx-a100"),
            ("nodes = 256", "nodes = 255"),
            ("nodes = 128", "nodes = 127"),
            ("[cluster.main]", "[cluster.main]\ncost = { rented = { gpu_hour = \"$2/h\" } }"),
            ("llama3-h100", "rsc-1"),
            ("llama-3.1-405b", "llama-3.1-70b"),
            ("1e12", "1.1e12"),
            ("0.4", "0.41"),
            ("1 h", "2 h"),
            ("2 s", "3 s"),
        ];
        for (from, to) in others {
            assert!(TEXT.contains(from), "{from}");
            assert!(essence(&TEXT.replace(from, to)) != base, "{from} to {to}");
        }
    }
}
