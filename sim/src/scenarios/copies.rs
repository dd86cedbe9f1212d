//! Who had the last copy of a shard of a strong map: only who was ended may take one along, and only a shard of which nobody
//! has a copy may begin anew.

use super::crew::Crew;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// What was seen of a map's shards.
#[derive(Default)]
pub struct Copies {
    ended: RefCell<BTreeSet<usize>>,
    is_any_gone: Cell<bool>,
    flaw: RefCell<Option<String>>,
}

impl Copies {
    /// Something has happened. `copies` says of which shards a member has all, also of one that has ended, and whether it leaves:
    /// then it may have been asked to drop them.
    pub fn look(&self, crew: &Crew, copies: impl Fn(usize) -> (Vec<u16>, bool)) {
        let (running, ended): (Vec<_>, Vec<_>) =
            crew.all().into_iter().enumerate().partition(|(_, process)| process.is_running());
        let news: Vec<_> =
            ended.into_iter().filter(|(number, _)| self.ended.borrow_mut().insert(*number)).collect();
        if news.is_empty() {
            return;
        }
        let staying = running.iter().map(|(number, _)| copies(*number)).filter(|(_, leaves)| !leaves);
        let kept: BTreeSet<u16> = staying.flat_map(|(shards, _)| shards).collect();
        for (number, _) in news {
            let Some(shard) = copies(number).0.into_iter().find(|shard| !kept.contains(shard)) else {
                continue;
            };
            self.is_any_gone.set(true);
            if !crew.was_ended(number) {
                let flaw = format!("member {number} had the last copy of shard {shard}, and ended by itself");
                self.flaw.borrow_mut().get_or_insert(flaw);
            }
        }
    }

    /// So many shards began anew.
    pub fn judge(&self, lost: u64) -> Result<(), String> {
        match &*self.flaw.borrow() {
            Some(flaw) => Err(flaw.clone()),
            None if lost > 0 && !self.is_any_gone.get() => {
                Err(format!("{lost} shards began anew, and somebody had each of them"))
            }
            None => Ok(()),
        }
    }
}
