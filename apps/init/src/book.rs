//! Which fleets were founded, for those who may know.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use fos_messages::founder::{FLEETS_PER_ANSWER, FoundedFleet, Founder, Progress};
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::rpc::{Context, Instead, Never};

/// What is told.
pub struct Book {
    planned: u32,
    fleets: RefCell<Vec<FoundedFleet>>,
}

impl Book {
    /// Of so many fleets that are to be founded.
    pub fn new(planned: u32) -> Rc<Book> {
        Rc::new(Book { planned, fleets: RefCell::default() })
    }

    /// One was.
    pub fn enter(&self, name: Path, key: DirectoryKey) {
        self.fleets.borrow_mut().push(FoundedFleet { name, key });
    }
}

impl Founder for Book {
    fn fleets(&self, _: Context, after: u32) -> Result<Progress, Instead<Never>> {
        let fleets = self.fleets.borrow();
        let fleets = fleets.iter().skip(after as usize).take(FLEETS_PER_ANSWER).cloned().collect();
        Ok(Progress { planned: self.planned, fleets })
    }
}
