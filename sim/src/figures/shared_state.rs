//! Figure 3: every core updates the same few cache lines, over and over.
//!
//! *Memory*: a core fetches each line from the core that wrote it last. A line makes one such journey at a time, and the
//! node where the lines' memory is takes one request at a time (`line_occupancy`), whichever line it is for.
//! *Messages*: the lines belong to a server on core 0, which has them in its cache; the others send it a line and wait for
//! one. It takes one request at a time. *Server*: what one request costs the server, without the queue before it.

use super::{AXES, Chart, Series, series, simulated};
use crate::{Costs, Distance};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Updates by each core, of which the second half counts.
const UPDATES: u64 = 200;
const LINES: [u32; 4] = [1, 2, 4, 8];

/// The figure.
pub fn chart(costs: &Costs) -> Chart {
    let plural = |lines: u32| if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
    let memory = LINES.map(|lines| {
        series(&format!("memory {}", plural(lines)), costs, |cores| by_memory(costs, cores, lines))
    });
    let messages = [1, 8].map(|lines| {
        series(&format!("messages {}", plural(lines)), costs, |cores| by_messages(costs, cores, lines))
    });
    let server = series("server 8 lines", costs, |_| served(costs, 0, 1, 8));
    let series: Vec<Series> = memory.into_iter().chain(messages).chain([server]).collect();
    let title = "An update of shared state, by shared memory and by messages".to_owned();
    Chart { name: "shared-state", title, axes: AXES, source: simulated(&costs.name), series }
}

/// Who asks next, at the earliest time; of several, the lowest core.
type Queue = BinaryHeap<Reverse<(u64, u32)>>;

/// Sums the second half of each core's updates.
#[derive(Default)]
struct Mean {
    updates: u64,
    nanoseconds: u64,
}

impl Mean {
    fn add(&mut self, number: u64, nanoseconds: u64) {
        if number >= UPDATES / 2 {
            self.updates += 1;
            self.nanoseconds += nanoseconds;
        }
    }
    fn value(&self) -> u64 {
        self.nanoseconds / self.updates.max(1)
    }
}

struct Updater {
    /// Lines that it has updated in this update.
    line: usize,
    number: u64,
    began: u64,
}

fn by_memory(costs: &Costs, cores: u32, lines: u32) -> u64 {
    let occupancy = costs.machine("line_occupancy");
    let (mut owner, mut line_free) = (vec![0; lines as usize], vec![0; lines as usize]);
    let (mut home_free, mut mean, mut queue) = (0, Mean::default(), Queue::new());
    let mut updaters: Vec<Updater> = (0..cores).map(|_| Updater { line: 0, number: 0, began: 0 }).collect();
    (0..cores).for_each(|core| queue.push(Reverse((0, core))));
    while let Some(Reverse((at, core))) = queue.pop() {
        let updater = &mut updaters[core as usize];
        let line = updater.line;
        let starts = at.max(home_free).max(line_free[line]);
        home_free = starts + occupancy;
        let ends = starts + costs.transfer(costs.topology.distance(owner[line], core));
        (owner[line], line_free[line]) = (core, ends);
        updater.line += 1;
        if updater.line == lines as usize {
            mean.add(updater.number, ends - updater.began);
            (updater.line, updater.number, updater.began) = (0, updater.number + 1, ends);
        }
        if updater.number < UPDATES {
            queue.push(Reverse((ends, core)));
        }
    }
    mean.value()
}

/// What a request costs the server: fetching it, its lines, the answer.
fn served(costs: &Costs, server: u32, client: u32, lines: u32) -> u64 {
    let fetch = costs.transfer(costs.topology.distance(client, server));
    fetch + u64::from(lines) * costs.transfer(Distance::Hops(0)) + costs.machine("post_line")
}

fn by_messages(costs: &Costs, cores: u32, lines: u32) -> u64 {
    let (mut server_free, mut mean, mut queue) = (0, Mean::default(), Queue::new());
    let mut clients = vec![(0, 0); cores as usize];
    (1..cores).for_each(|core| queue.push(Reverse((costs.machine("post_line"), core))));
    while let Some(Reverse((at, core))) = queue.pop() {
        server_free = at.max(server_free) + served(costs, 0, core, lines);
        let ends = server_free + costs.transfer(costs.topology.distance(0, core));
        let (number, began) = clients[core as usize];
        mean.add(number, ends - began);
        clients[core as usize] = (number + 1, ends);
        if number + 1 < UPDATES {
            queue.push(Reverse((ends + costs.machine("post_line"), core)));
        }
    }
    mean.value()
}
