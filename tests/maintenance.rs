//! Announced work that takes nodes out, and the jobs that drain for it.

use crate::spares::{accounts, close, count, gpu_hours, hours, job};

/// Racks of two nodes go out from 10:30 on, announced an hour before, each for three hours.
fn firmware(notice: &str) -> String {
    format!(
        "domains = {{ rack = 2, switch = 2 }}\n\
         maintenance.firmware = {{ of = \"rack\", from = \"10.5 h\", notice = \"{notice}\", out = \"3 h\", apart = \"4 h\" }}\n"
    )
}

#[test]
fn a_job_drains_at_its_next_checkpoint_and_goes_on_with_spares() {
    let jobs = format!("{}{}", firmware("1 h"), job("steady", 0, "{ hot = 2 }"));
    let accounts = accounts(6, "", &jobs);
    // Rack 0 is announced at 10:30 and left at the save of 11:00, rack 1 at 14:30 and at that of 15:10, rack 2, whose nodes now
    // compute, at 18:30 and at that of 19:20: three restarts of ten minutes and no work lost.
    close(hours(&accounts, "steady", "finished"), 24.5);
    assert_eq!(count(&accounts, "steady", "planned_interruptions"), 3.0);
    assert_eq!(count(&accounts, "steady", "interruptions"), 0.0);
    close(gpu_hours(&accounts, "steady", "recomputed_gpu_hours"), 0.0);
    close(gpu_hours(&accounts, "steady", "planned_gpu_hours"), 32.0 * 0.5);
    // Out until 14:30, 18:30 and 22:30: 3.5 h, 3 h 20 min and 3 h 10 min of two nodes.
    close(gpu_hours(&accounts, "steady", "repair_gpu_hours"), 16.0 * 10.0);
    close(gpu_hours(&accounts, "steady", "held_gpu_hours"), 48.0 * 24.5);
}

#[test]
fn a_job_that_finds_no_checkpoint_in_time_saves_when_the_work_begins() {
    let jobs = format!("{}{}", firmware("10 min"), job("steady", 0, "{ hot = 2 }"));
    let accounts = accounts(6, "", &jobs);
    close(hours(&accounts, "steady", "finished"), 24.5);
    close(gpu_hours(&accounts, "steady", "recomputed_gpu_hours"), 0.0);
    // Out at 10:40, and at 14:40 and 18:40, until three hours later.
    close(gpu_hours(&accounts, "steady", "repair_gpu_hours"), 16.0 * 9.0);
}

#[test]
fn without_a_spare_a_job_waits_for_its_rack() {
    let jobs = format!("{}{}", firmware("10 min"), job("steady", 0, "{}"));
    let accounts = accounts(4, "", &jobs);
    // 10:40 to 13:40 and 14:40 to 17:40, and ten minutes each.
    close(hours(&accounts, "steady", "finished"), 24.0 + 2.0 * (3.0 + 1.0 / 6.0));
    close(gpu_hours(&accounts, "steady", "repair_gpu_hours"), 16.0 * 6.0);
}

#[test]
fn a_site_that_is_worked_on_gives_no_nodes_to_whoever_comes() {
    let upgrade = "maintenance.upgrade = { of = \"site\", from = \"10 h\", out = \"3 h\" }\n";
    let late = job("late", 0, "{}").replace("priority", "submit = \"12 h\"\npriority");
    let accounts = accounts(4, "", &format!("{upgrade}{late}"));
    // Announced at 10:00, out from 11:00 to 14:00.
    close(hours(&accounts, "late", "started"), 14.0);
    close(hours(&accounts, "late", "finished"), 38.0);
}

#[test]
fn a_job_that_takes_nodes_takes_them_for_maintenance_too() {
    // Racks 2 and 3 hold the vital job. Each time that one of them goes out it takes two nodes of the lesser job, or free ones.
    let takes = "{ short = { preempt = {} } }";
    let only = "domains = { rack = 2, switch = 2 }\n\
                maintenance.firmware = { of = \"rack\", from = \"2.5 h\", notice = \"1 h\", out = \"3 h\", apart = \"4 h\" }\n";
    let accounts = accounts(8, "", &format!("{only}{}{}", job("vital", 1, takes), job("lesser", 0, "{}")));
    assert_eq!(count(&accounts, "vital", "taken_nodes") as u64 % 2, 0);
    assert!(count(&accounts, "vital", "taken_nodes") >= 2.0);
    assert!(count(&accounts, "lesser", "preemptions") >= 1.0);
    assert_eq!(count(&accounts, "vital", "preemptions"), 0.0);
    close(gpu_hours(&accounts, "vital", "productive_gpu_hours"), 32.0 * 24.0);
}
