//! Which numbers processes get: the next after the last one that no process, group or session has. So a number comes back
//! as late as possible, and never while a zombie, a group or a session still has it.

use crate::record::Record;
use alloc::collections::{BTreeMap, BTreeSet};
use fos_messages::processes::Pid;
use serde::{Deserialize, Serialize};

/// The numbers of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    last: u16,
}

impl Default for Pids {
    /// Init's is taken.
    fn default() -> Pids {
        Pids { last: Pid::INIT.number() }
    }
}

impl Pids {
    /// The next free one; none if all are in use.
    pub fn next(&mut self, records: &BTreeMap<Pid, Record>) -> Option<Pid> {
        let candidates = (1..=u16::MAX).map(|step| self.last.wrapping_add(step));
        let mut named: Option<BTreeSet<Pid>> = None;
        for number in candidates {
            let Some(pid) = Pid::new(0, number).filter(|pid| !records.contains_key(pid)) else { continue };
            let of = |record: &Record| [record.group, record.session];
            let named = named.get_or_insert_with(|| records.values().flat_map(of).collect());
            if !named.contains(&pid) {
                self.last = number;
                return Some(pid);
            }
        }
        None
    }
}
