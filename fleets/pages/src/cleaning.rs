//! Frames that a process wrote are zeroed before another gets them: in idle time, so that nobody waits, and otherwise while
//! somebody does. To zero frames a member has them given to itself, and gives them back.

use crate::server::Server;
use alloc::rc::Rc;
use alloc::vec;
use core::time::Duration;
use fos_messages::custody::{Return, Run};
use fos_runtime::Priority;

/// Frames zeroed in one go, 1 MiB: the member answers nobody meanwhile.
pub const CHUNK: u64 = 256;
/// Frames that are kept clean beforehand, 64 MiB.
const CLEAN_MAX: u64 = 16 * 1024;
/// How long before dirty frames are looked for again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Zeroes frames that this process was given, and deletes its capabilities of them.
pub trait Cleaner {
    /// False: some may not read as zeros.
    fn clean(&self, runs: &[Run]) -> bool;
}

impl Server {
    /// Zeroes at most so many frames; answers how many.
    pub(crate) async fn clean_some(&self, most: u64) -> u64 {
        let _step = self.begin().await;
        let Some(range) = self.stock.borrow_mut().take_dirty(most) else { return 0 };
        let (me, tag) = (self.identity(), self.next_tag());
        let given = match self.custody.give(me, tag, vec![range], u64::MAX).await {
            Ok(given) => given,
            Err(error) => {
                self.keep_unless_uncertain(&error, &[range], false);
                return 0;
            }
        };
        let is_clean = self.cleaner.clean(&given.runs);
        // What the cleaner could not delete is taken by force.
        match self.custody.take_home(me, vec![range.first], !is_clean, is_clean).await {
            Ok(returned) if returned.ranges == [Return::Home(range)] => {
                self.stock.borrow_mut().add(range, is_clean);
                if is_clean { range.count } else { 0 }
            }
            Ok(_) => 0,
            Err(_) => {
                self.doubt();
                0
            }
        }
    }

    /// Prepares clean frames when there is nothing else to do, as long as this member is one.
    pub(crate) fn begin_cleaning(self: &Rc<Self>) {
        let server = self.clone();
        self.runtime.spawn(Priority::Idle, async move {
            loop {
                let has_enough = server.stock.borrow().clean_frames() >= CLEAN_MAX;
                let cleaned = if has_enough { 0 } else { server.clean_some(CHUNK).await };
                server.count(|figures| figures.zeroed_idle += cleaned);
                if cleaned == 0 {
                    server.runtime.sleep(LOOK_EVERY).await;
                }
            }
        });
    }
}
