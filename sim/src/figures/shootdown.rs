//! Figure 6: core 0 tells all others, and waits until each has answered. Only the messages are counted, not what the
//! others do.
//!
//! *Broadcast*: one line that all poll; core 0's cache hands it out to one after the other (`line_occupancy`), and core 0
//! fetches no answer before that is over.
//! *Unicast*: a line for each core. *Multicast*: a line for one core of each other socket, which tells its neighbours and
//! answers for them. *NUMA-aware multicast*: the same, farthest socket first, with the lines of each socket in its own
//! memory; the others have all lines in core 0's memory, so that even neighbours fetch them from there.

use super::{AXES, Chart, series, simulated};
use crate::Costs;
use std::cmp::Reverse;

/// The figure.
pub fn chart(costs: &Costs) -> Chart {
    let series = vec![
        series("broadcast", costs, |cores| broadcast(costs, cores)),
        series("unicast", costs, |cores| unicast(costs, 0, &(1..cores).collect::<Vec<_>>(), 0, 0)),
        series("multicast", costs, |cores| multicast(costs, cores, false)),
        series("NUMA-aware multicast", costs, |cores| multicast(costs, cores, true)),
    ];
    let title = "Telling every core and hearing from each".to_owned();
    Chart { name: "shootdown", title, axes: AXES, source: simulated(&costs.name), series }
}

/// What `reader` pays for a line that `writer` has written, whose memory is beside core `home`.
fn fetch(costs: &Costs, writer: u32, reader: u32, home: u32) -> u64 {
    let from = |core| costs.transfer(costs.topology.distance(core, reader));
    from(writer).max(from(home))
}

/// When `teller`, who begins at `at`, has heard from all of `told`, each of whom answers at once.
fn unicast(costs: &Costs, teller: u32, told: &[u32], home: u32, at: u64) -> u64 {
    let post = costs.machine("post_line");
    let sent = told.iter().zip(1..).map(|(core, number)| (*core, at + number * post));
    let answers: Vec<(u32, u64)> =
        sent.map(|(core, sent)| (core, sent + fetch(costs, teller, core, home) + post)).collect();
    collect(costs, teller, &answers, home, at + told.len() as u64 * post)
}

/// When `teller` has fetched all answers, one after the other, each as soon as it is there.
fn collect(costs: &Costs, teller: u32, answers: &[(u32, u64)], home: u32, at: u64) -> u64 {
    answers.iter().fold(at, |now, (core, answered)| now.max(*answered) + fetch(costs, *core, teller, home))
}

fn broadcast(costs: &Costs, cores: u32) -> u64 {
    let (post, occupancy) = (costs.machine("post_line"), costs.machine("line_occupancy"));
    let seen = |core: u32| post + u64::from(core) * occupancy + fetch(costs, 0, core, 0);
    let answers: Vec<(u32, u64)> = (1..cores).map(|core| (core, seen(core) + post)).collect();
    collect(costs, 0, &answers, 0, post + u64::from(cores - 1) * occupancy)
}

fn multicast(costs: &Costs, cores: u32, is_numa_aware: bool) -> u64 {
    let (topology, post) = (&costs.topology, costs.machine("post_line"));
    // Whom core 0 tells: the first core of each other socket, and its own neighbours.
    let socket = |core: u32| topology.socket(core);
    let is_first = |core: &u32| socket(*core) != socket(core - 1) || socket(*core) == socket(0);
    let mut told: Vec<u32> = (1..cores).filter(is_first).collect();
    if is_numa_aware {
        told.sort_by_key(|core| Reverse(topology.distance(0, *core)));
    }
    let mut at = 0;
    let mut answers = Vec::new();
    for core in &told {
        at += post;
        let home = if is_numa_aware { *core } else { 0 };
        let seen = at + fetch(costs, 0, *core, home);
        let neighbours: Vec<u32> = (core + 1..cores)
            .take_while(|next| socket(*next) == socket(*core) && socket(*core) != socket(0))
            .collect();
        let heard = if neighbours.is_empty() { seen } else { unicast(costs, *core, &neighbours, home, seen) };
        answers.push((*core, heard + post));
    }
    answers.sort_by_key(|(core, answered)| (*answered, *core));
    collect(costs, 0, &answers, 0, at)
}
