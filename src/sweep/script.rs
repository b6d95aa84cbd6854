//! What submits the shards of a planned sweep to an engine that exists: a text to read, change and run. Each one ends in the
//! same command, `sweep run DIR --shard …`, which may be started any number of times.

use super::Frozen;
use std::num::NonZeroU64;
use std::path::Path;

/// Who starts the shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A Slurm array job.
    Slurm,
    /// A HyperQueue task array.
    Hyperqueue,
    /// A Kubernetes indexed job.
    Kubernetes,
    /// GNU parallel on one machine, or on several with its --sshlogin.
    Parallel,
    /// Ray tasks.
    Ray,
}

/// What a submission has to know.
#[derive(Debug)]
pub struct Submission<'a> {
    /// How to start tollway there.
    pub program: &'a Path,
    /// The plan's folder, as all machines see it.
    pub folder: &'a Path,
    /// Number of shards.
    pub shards: NonZeroU64,
    /// Cores of each.
    pub cores: NonZeroU64,
    /// Container image and volume claim, for Kubernetes.
    pub pod: Option<(&'a str, &'a str)>,
}

/// Slurm's default `MaxArraySize` is 1001, and an index must be below it (slurm.conf(5)).
const SLURM_SHARDS_MAX: u64 = 1_000;

impl Engine {
    /// The text that submits `of` to the engine.
    ///
    /// # Errors
    /// The engine cannot do it, or has to know more.
    pub fn script(self, frozen: &Frozen, of: &Submission<'_>) -> Result<String, String> {
        let shards = of.shards.get();
        if shards > frozen.runs() {
            return Err(format!("{shards} shards are more than the {} runs", frozen.runs()));
        }
        match (self, of.pod) {
            (Engine::Slurm, None) if shards > SLURM_SHARDS_MAX => Err(format!(
                "Slurm's MaxArraySize is 1001 unless somebody raised it, so an array ends at {SLURM_SHARDS_MAX}, found \
                 {shards}; a shard may hold any number of runs"
            )),
            (Engine::Slurm, None) => Ok(slurm(frozen, of)),
            (Engine::Hyperqueue, None) => Ok(hyperqueue(of)),
            (Engine::Parallel, None) => Ok(parallel(of)),
            (Engine::Ray, None) => Ok(ray(of)),
            (Engine::Kubernetes, Some((image, claim))) => Ok(kubernetes(frozen, of, image, claim)),
            (Engine::Kubernetes, None) => {
                Err("a Kubernetes job needs --image, a container with tollway in it, and --claim, the volume with DIR"
                    .to_owned())
            }
            _ => Err("--image and --claim are for --engine kubernetes".to_owned()),
        }
    }
}

impl Submission<'_> {
    /// The command of one shard, for a shell; `shard` stands as it is.
    fn run(&self, shard: &str) -> String {
        let (program, folder) = (quoted(self.program), quoted(self.folder));
        format!("{program} sweep run {folder} --shard {shard} --threads {}", self.cores)
    }

    fn collect(&self) -> String {
        format!("{} sweep collect {}", quoted(self.program), quoted(self.folder))
    }
}

/// `path` for a POSIX shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+,:@".contains(letter);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// `path` in JSON, which is YAML and Python too.
fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

fn slurm(frozen: &Frozen, of: &Submission<'_>) -> String {
    let (shards, cores) = (of.shards, of.cores);
    let logs = of.folder.join("logs").join("slurm-%a.log");
    format!(
        "#!/bin/bash
# Submit: sbatch this-file. A task whose node is lost runs again by itself, about two minutes later, and goes on from its
# records. To run some again by hand: sbatch --array=3,7 this-file.
# When all have ended: {collect}
#SBATCH --job-name={name}
#SBATCH --array=1-{shards}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cores}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={logs}
exec {run}
",
        collect = of.collect(),
        name = json(frozen.name()),
        logs = json(&logs.display().to_string()),
        run = of.run(&format!("\"$SLURM_ARRAY_TASK_ID/{shards}\"")),
    )
}

fn hyperqueue(of: &Submission<'_>) -> String {
    let (shards, cores) = (of.shards, of.cores);
    let logs = of.folder.join("logs").join("hq-%{TASK_ID}.log");
    format!(
        "#!/bin/sh
# `hq submit --wait` ends with 0 even if tasks failed, so the last line says whether all is there. HyperQueue does not expand
# %{{TASK_ID}} in arguments; --shard auto reads the task from its environment.
hq submit --array=1-{shards} --cpus={cores} --stdout=none --stderr={logs} --wait -- \\
    {run} || exit
{collect}
",
        logs = quoted(&logs),
        run = of.run(&format!("auto/{shards}")),
        collect = of.collect(),
    )
}

fn parallel(of: &Submission<'_>) -> String {
    let shards = of.shards;
    // One word for GNU parallel, which starts a shell with it.
    let run = format!("'{}'", of.run(&format!("{{}}/{shards}")).replace('\'', "'\\''"));
    format!(
        "#!/bin/sh
# Each task takes {cores} cores; add --jobs N to start N at a time, --sshlogin to use more machines that see the folder.
seq {shards} | parallel --retries 3 {run}
{collect}
",
        cores = of.cores,
        collect = of.collect(),
    )
}

fn ray(of: &Submission<'_>) -> String {
    let (shards, cores) = (of.shards, of.cores);
    let [program, folder] = [of.program, of.folder].map(|path| json(&path.display().to_string()));
    format!(
        "# Run: python this-file, on a machine that sees the cluster and the folder.
import subprocess
import sys

import ray

PROGRAM, FOLDER = {program}, {folder}


@ray.remote(num_cpus={cores}, max_retries=3)
def shard(number):
    return subprocess.run(
        [PROGRAM, \"sweep\", \"run\", FOLDER, \"--shard\", f\"{{number}}/{shards}\", \"--threads\", \"{cores}\"]
    ).returncode


ray.init(address=\"auto\")
ray.get([shard.remote(number) for number in range(1, {shards} + 1)])
sys.exit(subprocess.run([PROGRAM, \"sweep\", \"collect\", FOLDER]).returncode)
"
    )
}

fn kubernetes(frozen: &Frozen, of: &Submission<'_>, image: &str, claim: &str) -> String {
    let (shards, cores) = (of.shards, of.cores);
    let [program, folder] = [of.program, of.folder].map(|path| json(&path.display().to_string()));
    format!(
        "# Submit: kubectl apply -f this-file. A pod that is lost or stopped starts again and goes on from its records.
# When the job has ended, where the volume is mounted: {collect}
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
  completionMode: Indexed
  completions: {shards}
  parallelism: {shards}
  backoffLimitPerIndex: 5
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: tollway
          image: {image}
          command: [{program}, \"sweep\", \"run\", {folder}, \"--shard\", \"auto/{shards}\", \"--threads\", \"{cores}\"]
          resources:
            requests: {{ cpu: \"{cores}\" }}
          volumeMounts:
            - {{ name: plan, mountPath: {folder} }}
      volumes:
        - name: plan
          persistentVolumeClaim: {{ claimName: {claim} }}
",
        collect = of.collect(),
        name = json(&object_name(frozen.name())),
        image = json(image),
        claim = json(claim),
    )
}

/// A name that Kubernetes takes: lower-case letters, digits and `-`, at most 63, beginning with a letter.
fn object_name(name: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let name: String = format!("tollway-{name}").chars().map(letter).take(63).collect();
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word() {
        let cases = [("/a/b-1.x", "/a/b-1.x"), ("/a b", "'/a b'"), ("it's", "'it'\\''s'"), ("", "''"), ("$x", "'$x'")];
        for (path, word) in cases {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }

    #[test]
    fn a_name_that_kubernetes_takes() {
        assert_eq!(object_name("Spares_x Repair!"), "tollway-spares-x-repair");
        assert_eq!(object_name(&"a".repeat(80)).len(), 63);
    }
}
