//! When a way is changed, and why then.
//!
//! *Measured* by `./fos run --image tasks -- tasks costs`, five runs under TCG on two shared cores: a link takes, from its offer
//! to its end, as long as 20 to 28 calls one after another by mailbox, which is about 50 messages. Most of it is mapping and
//! unmapping, and messages that wake the other side. What it saves is counted: a send through the kernel takes 375
//! instructions (docs/performance.md), one over a channel some tens (`./fos bench messages`). A call whose both sides sleep in
//! between takes as long by either way: a link is for those who are busy with each other.
//!
//! *So* a link is offered after 64 sends: who has sent as many messages as a link costs, and has one made then, has spent at
//! most twice what the best choice would have cost in hindsight. Within 20 ms, since a slower pace does not keep both awake.

use core::time::Duration;

use fos_runtime::Instant;

/// Numbers that decide. The machine has one set of them; tests have others.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Sends to one destination within [`window`](Self::window) after which a link to it is offered.
    pub sends: u32,
    /// The time in which sends are counted.
    pub window: Duration,
    /// A link over which nothing was sent for this time, or up to twice as long, is closed.
    pub idle: Duration,
    /// Links that one process may have offered, and had accepted, at a time.
    pub offered_max: usize,
    /// Links that it accepts from others.
    pub accepted_max: usize,
    /// Links that it accepts from one process: one per thread of it, as a rule.
    pub accepted_per_peer: usize,
    /// After a link that did not last (it was full, or refused) so many times as many sends are needed, up to 2^10 times.
    pub patience: u32,
}

impl Thresholds {
    /// The machine's.
    pub const MACHINE: Thresholds = Thresholds {
        sends: 64,
        window: Duration::from_millis(20),
        idle: Duration::from_millis(200),
        offered_max: 4,
        accepted_max: 12,
        accepted_per_peer: 4,
        patience: 2,
    };
}

/// How often one destination was sent to of late.
#[derive(Clone, Copy, Debug)]
pub struct Frequency {
    since: Instant,
    sends: u32,
    needed: u32,
}

impl Frequency {
    /// Nothing was sent yet.
    pub fn new(thresholds: &Thresholds, now: Instant) -> Frequency {
        Frequency { since: now, sends: 0, needed: thresholds.sends }
    }

    /// One more was sent. Whether it is worth a link.
    pub fn sent(&mut self, thresholds: &Thresholds, now: Instant) -> bool {
        if now.since(self.since) > thresholds.window {
            (self.since, self.sends) = (now, 0);
        }
        self.sends = self.sends.saturating_add(1);
        self.sends >= self.needed
    }

    /// A link is there, or was closed: counting begins anew.
    pub fn restart(&mut self) {
        self.sends = 0;
    }

    /// A link did not last.
    pub fn discourage(&mut self, thresholds: &Thresholds) {
        self.sends = 0;
        self.needed = self.needed.saturating_mul(thresholds.patience).min(thresholds.sends << 10);
    }
}
