//! What a run holds in memory follows from what is inside at one time, not from how much has passed through.

use std::process::Command;

/// Requests that arrived, and the most memory that the process held, of so many minutes of 64 replicas.
fn minutes(minutes: u32) -> (f64, Option<f64>) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tollway"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["run", ".ci/instructions.toml", "--threads", "1"])
        .arg(format!("--set=duration=\"{minutes} min\""))
        .arg("--out")
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = std::fs::read_to_string(folder.path().join("summary.csv")).unwrap();
    let requests = summary.lines().find_map(|line| line.strip_prefix("service.chat,requests,")).unwrap();
    let facts = std::fs::read_to_string(folder.path().join("run.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_str(&facts).unwrap();
    (requests.split(',').next().unwrap().parse().unwrap(), facts["peak_memory_bytes"].as_f64())
}

#[test]
fn ten_times_the_requests_take_no_more_memory() {
    let ((few, before), (many, after)) = (minutes(1), minutes(10));
    assert!(many > 9.0 * few && few > 30_000.0, "{few} and {many} requests");
    let (Some(before), Some(after)) = (before, after) else {
        return println!("skipped: this system does not tell the most memory that a process held");
    };
    // 345,000 requests more: kept, their jobs of 40 bytes would take 14 MB. Allocators differ by less than four.
    assert!(after < before + 4e6, "{before} bytes with {few} requests, {after} with {many}");
}
