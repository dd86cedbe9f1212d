//! The tables of what is expected of each key, and what of Linux stands beside it. The one place where a target is
//! written.

use super::document::{Row, Target, Versus};
use fos_bench_linux::line::Measurement;

/// What is expected of a key.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The key.
    pub key: &'static str,
    /// What it should be, in the unit it is measured in.
    pub target: Option<Target>,
    /// The key of the Linux guest's measurement that does the same work.
    pub beside: Option<&'static str>,
}

const fn target(key: &'static str, at_most: Option<f64>, beside: Option<&'static str>) -> Expected {
    let target = match at_most {
        Some(most) => Some(Target::AtMost(most)),
        None => None,
    };
    Expected { key, target, beside }
}

const fn at_least(key: &'static str, least: f64) -> Expected {
    Expected { key, target: Some(Target::AtLeast(least)), beside: None }
}

/// The kernel suite's keys.
pub const KERNEL: &[Expected] = &[
    target("null_call", Some(45.0), Some("linux_getppid")),
    target("mailbox_send_64", Some(220.0), None),
    target("mailbox_take_64", Some(48.0), None),
    target("ping_pong_one_core", Some(850.0), Some("linux_futex_ping_pong")),
    target("map_page", Some(300.0), Some("linux_mmap_existing_page")),
    target("map_page_batched", Some(40.0), Some("linux_mmap_existing_batched")),
    target("reflect", Some(40.0), None),
    target("protect_page", None, Some("linux_mprotect_page")),
    target("unmap_page", None, Some("linux_munmap_page")),
    target("thread_switch", None, Some("linux_sched_yield_switch")),
    target("unmap_1core_ns", None, Some("linux_munmap_1cpu_ns")),
    target("unmap_2core_ns", None, Some("linux_munmap_2cpu_ns")),
    target("boot_seconds", Some(0.3), None),
    target("kernel_lines", Some(8000.0), None),
    target("kernel_text_bytes", Some(131_072.0), None),
];

/// The messages suite's keys.
pub const MESSAGES: &[Expected] = &[
    target("channel_round_trip_over_floor", Some(1.3), None),
    at_least("channel_throughput_over_best_ring", 1.5),
    at_least("pipe_over_channel", 20.0),
    at_least("futex_over_channel", 20.0),
    at_least("unix_over_channel", 20.0),
    target("channel_send_56", Some(40.0), None),
    target("channel_take_56", Some(40.0), None),
    target("rpc_two_scalars", Some(600.0), None),
    target("name_send_cached_extra", Some(30.0), None),
];

/// The simulator suite's keys.
pub const SIM: &[Expected] = &[target("sim_1024_cores_seconds", Some(30.0), None)];

/// The suite of names' keys.
pub const NAMES: &[Expected] = &[at_least("sim_names_linear_256", 0.95)];

/// The suite of processes' keys.
pub const PROCESSES: &[Expected] =
    &[target("spawn_over_linux", Some(1.0 / 3.0), None), target("probe_p99_under_hog", Some(2.0), None)];

/// The suite of pages' keys.
pub const PAGES: &[Expected] = &[at_least("pages_over_linux_2", 1.0), at_least("sim_pages_linear_64", 0.9)];

/// The suite of pools' keys.
pub const DPOOL: &[Expected] = &[at_least("sim_dpool_linear_64", 0.9)];

/// Every suite's keys.
fn all() -> impl Iterator<Item = &'static Expected> {
    KERNEL.iter().chain(MESSAGES).chain(SIM).chain(NAMES).chain(PROCESSES).chain(PAGES).chain(DPOOL)
}

/// The row with its target, and what stands beside it among Linux's measurements.
pub fn apply(mut row: Row, linux: &[Measurement]) -> Row {
    let Some(expected) = all().find(|expected| expected.key == row.key) else { return row };
    row.target = expected.target;
    let beside = linux.iter().find(|other| Some(other.key.as_str()) == expected.beside);
    if row.versus.is_none() {
        row.versus = beside.map(|other| Versus { what: other.key.clone(), value: other.value as f64 });
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gets_its_target_and_its_neighbour() {
        let linux = [Measurement {
            key: "linux_getppid".into(),
            value: 323,
            unit: "instructions".into(),
            how: "x".into(),
        }];
        let row = apply(Row::new("null_call", 40.0, "instructions", "icount"), &linux);
        assert_eq!(row.target, Some(Target::AtMost(45.0)));
        assert_eq!(row.versus.unwrap().value, 323.0);
        let other = apply(Row::new("unheard_of", 1.0, "instructions", "icount"), &linux);
        assert_eq!((other.target, other.versus), (None, None));
    }

    #[test]
    fn keys_are_distinct() {
        let keys: std::collections::BTreeSet<_> = all().map(|expected| expected.key).collect();
        assert_eq!(keys.len(), all().count());
    }
}
