//! Notes that survive any member: each member has all of them. A note is acknowledged when every member of an epoch in force has
//! it, and at least two members have all notes. So whoever is left has it, and whoever joins gets it from them.
//!
//! Why that is enough: a copy is taken only under the epoch in force, which a member leaves before the next one begins
//! anywhere. So when all members of an epoch have taken a copy, all of them had it before the next epoch, and a newcomer, who
//! comes with an epoch, fetches after that.

use crate::charter::DEVICE;
use crate::protocol::{Incomplete, Note, Notes, NotesPeers, NotesPeersClient, PAGE};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ops::Bound;
use core::time::Duration;
use fos_messages::rpc::{Address, CallError, Context, Instead, Never, SendError, broadcast};
use fos_runtime::fleet::Member;
use fos_runtime::{Instant, Runtime};

/// Members with all notes that must have one before it is acknowledged.
const KEEPERS_MIN: usize = 2;
/// How long another member may take for a copy or a page.
const COPY_WITHIN: Duration = Duration::from_millis(500);
/// How long to wait before others are asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(1);
/// How often copies are tried before the client is told to ask again.
const TRIES: usize = 100;

/// The notes of one member.
pub struct Book {
    runtime: Runtime,
    member: Rc<Member>,
    notes: RefCell<BTreeMap<(u64, u64), u64>>,
    /// Whether all are there that were acknowledged before it came.
    has_all: Cell<bool>,
    /// When the device is free.
    free_at: Cell<Instant>,
}

/// What became of copies.
enum Copied {
    /// All members have one, so many of them with all other notes.
    To(usize),
    /// Somebody may not have one.
    NotAll,
}

impl Book {
    /// An empty one.
    pub fn new(runtime: Runtime, member: Rc<Member>) -> Rc<Book> {
        let (notes, has_all, free_at) = Default::default();
        Rc::new(Book { runtime, member, notes, has_all, free_at })
    }

    /// Waits until the device has done one more thing: it does them one after the other.
    async fn use_device(&self) {
        let now = self.runtime.port().now();
        let done_at = self.free_at.get().max(now).after(DEVICE);
        self.free_at.set(done_at);
        self.runtime.sleep(done_at.since(now)).await;
    }

    fn keep(&self, note: Note) {
        self.notes.borrow_mut().insert((note.of, note.number), note.text);
    }

    /// Keeps a note here and everywhere. False: it is not certain that it is safe.
    async fn spread(&self, note: Note) -> bool {
        self.use_device().await;
        self.keep(note);
        for _ in 0..TRIES {
            match self.copy(note).await {
                Copied::To(keepers) if self.has_all.get() && keepers + 1 >= KEEPERS_MIN => return true,
                Copied::To(_) => return false,
                Copied::NotAll => self.runtime.sleep(AGAIN_AFTER).await,
            }
        }
        false
    }

    async fn copy(&self, note: Note) -> Copied {
        let (others, caller) = (self.others(), self.member.within(COPY_WITHIN));
        let Some(others) = others else { return Copied::NotAll };
        let copy = |to| {
            let peer = NotesPeersClient::new(caller.clone(), to);
            async move { peer.copy(note).await }
        };
        let mut keepers = 0;
        for (_, copied) in broadcast(&others, copy).await {
            match copied {
                Ok(has_all) => keepers += usize::from(has_all),
                // It has ended: it needs none.
                Err(CallError::PeerLost | CallError::NotSent(SendError::Closed)) => {}
                Err(_) => return Copied::NotAll,
            }
        }
        Copied::To(keepers)
    }

    /// The other members, if there is an epoch in force.
    fn others(&self) -> Option<Vec<Address>> {
        let (roster, me) = (self.member.roster()?, self.runtime.port().identity());
        let others = roster.seats().iter().filter(|seat| seat.identity() != me);
        Some(others.map(|seat| seat.internal).collect())
    }

    /// Gets all notes from a member that has them. If none is left that does, none was acknowledged.
    pub async fn fetch(&self) {
        // Who was sent away before it had them needs none, and nobody tells it any.
        while !self.member.has_left() && !self.fetch_from_any().await {
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        self.has_all.set(!self.member.has_left());
    }

    async fn fetch_from_any(&self) -> bool {
        let Some(others) = self.others() else { return false };
        let mut all_lack_some = true;
        for other in others {
            match self.fetch_from(other).await {
                Ok(()) => return true,
                Err(CallError::Refused(Incomplete)) => {}
                Err(_) => all_lack_some = false,
            }
        }
        all_lack_some && self.member.standing().coordinator == self.runtime.port().identity().0
    }

    async fn fetch_from(&self, other: Address) -> Result<(), CallError<Incomplete>> {
        let mut after = (0, 0);
        loop {
            let peer = NotesPeersClient::new(self.member.within(COPY_WITHIN), other);
            let page = peer.page(after.0, after.1).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.of, last.number);
            page.into_iter().for_each(|note| self.keep(note));
        }
    }
}

/// What clients ask.
pub struct Clients(pub Rc<Book>);

impl Notes for Clients {
    async fn write(&self, context: Context, number: u64, text: u64) -> Result<(), Instead<Never>> {
        let note = Note { of: context.sender.0, number, text };
        if self.0.spread(note).await { Ok(()) } else { Err(Instead::NotNow) }
    }

    fn read(&self, context: Context, number: u64) -> Result<Option<u64>, Instead<Never>> {
        Ok(self.0.notes.borrow().get(&(context.sender.0, number)).copied())
    }
}

/// What other members ask.
pub struct Members(pub Rc<Book>);

impl NotesPeers for Members {
    fn copy(&self, _: Context, note: Note) -> Result<bool, Instead<Never>> {
        self.0.keep(note);
        Ok(self.0.has_all.get())
    }

    fn page(&self, _: Context, of: u64, number: u64) -> Result<Vec<Note>, Instead<Incomplete>> {
        if !self.0.has_all.get() {
            return Err(Incomplete.into());
        }
        let notes = self.0.notes.borrow();
        let after = notes.range((Bound::Excluded((of, number)), Bound::Unbounded)).take(PAGE);
        Ok(after.map(|((of, number), text)| Note { of: *of, number: *number, text: *text }).collect())
    }
}
