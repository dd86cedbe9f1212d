//! What the cases share: the ground, a prepared window, a helper on another core, and children that run this program's
//! code in spaces of their own.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use fos_abi::capability::Handle;
use fos_abi::mailbox::{Control, HEADER_SIZE, Header, SLOT_SIZE};
use fos_abi::space::MapFlags;
use fos_abi::thread::Registers;
use fos_abi::{Error, Key};
use libfos::clock::Deadline;
use libfos::spawn::{Frames, Image, Plan, Process};
use libfos::{calls, spawn};

pub use libfos::spawn::{load_key, store_key};

use crate::fixture::{self, KEYS, SLOTS};
use crate::ground::{Ground, PAGE, Plot};
use crate::helper::Helper;
use crate::kernel::{Broken, During};
use fos_abi::key::KeyRights;

/// Frames of a child's plot beside those it gets for itself: its memory, space, thread, page tables.
const CHILD_FRAMES: u64 = 768;
/// Frames that a child gets for itself unless it is said otherwise.
const CHILD_OWN_FRAMES: u64 = 64;
/// How long a peer may be silent.
pub const PATIENCE_MILLISECONDS: u64 = 20_000;

/// Words of every child's block that its parent fills.
pub mod word {
    /// The handle of its frames.
    pub const FRAMES: usize = 0;
    /// How many cores there are.
    pub const CORE_COUNT: usize = 1;
    /// Ticks per second.
    pub const TSC_HZ: usize = 2;
    /// Its core.
    pub const CORE: usize = 3;
    /// The first word that is free for what parent and child have agreed on.
    pub const FREE: usize = 8;
}

/// See the module.
pub struct Stage {
    /// Frames, cores, devices.
    pub ground: Ground,
    /// A prepared window for the case at hand.
    pub window: u64,
    helper: Option<Helper>,
    image: Option<Image>,
    /// Which plot a child stands on, and the capability through which it has the program's code.
    codes: Vec<(Handle, Handle)>,
}

/// A receiving end, read without libfos, as a program that trusts nothing would.
#[derive(Debug)]
pub struct Inbox {
    /// Its capability.
    pub mailbox: Handle,
    base: u64,
    head: u32,
}

/// A message, copied out.
#[derive(Clone, Debug)]
pub struct Letter {
    /// `MessageKind` as a number.
    pub kind: u8,
    /// Who sent it.
    pub sender: u64,
    /// The key's badge.
    pub badge: u64,
    /// Whether a capability is attached.
    pub attached: bool,
    /// Payload bytes.
    pub length: usize,
    /// The payload.
    pub bytes: [u8; fos_abi::mailbox::MESSAGE_MAX],
}

impl Letter {
    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// A word of the payload.
    pub fn word(&self, index: usize) -> u64 {
        self.payload()
            .get(index * 8..index * 8 + 8)
            .map_or(0, |bytes| bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

impl Inbox {
    /// A mailbox of the smallest size, mapped at an address.
    pub fn create(plot: &mut Plot, address: u64) -> Result<Inbox, Error> {
        let mailbox = fixture::mailbox(plot)?;
        calls::mailbox_map(mailbox, address)?;
        Ok(Inbox::over(mailbox, address))
    }

    /// An inbox over a mailbox that is mapped.
    pub fn over(mailbox: Handle, address: u64) -> Inbox {
        let mut inbox = Inbox { mailbox, base: address, head: 0 };
        inbox.head = inbox.control().head.load(Ordering::Acquire);
        inbox
    }

    /// The page that the receiver writes.
    pub fn control(&self) -> &Control {
        // SAFETY: the mailbox is mapped there for as long as the case uses it; all fields are atomic.
        unsafe { &*(self.base as *const Control) }
    }

    fn header(&self) -> u64 {
        self.base + PAGE + u64::from(self.head % SLOTS as u32) * SLOT_SIZE as u64
    }

    /// Whether a message waits.
    pub fn has_message(&self) -> bool {
        let stamp = self.control().stamp(self.head, SLOTS as u32 - 1);
        stamp.load(Ordering::Acquire) == self.head.wrapping_add(1)
    }

    /// Copies the next message out, and leaves it where it is.
    pub fn peek(&self) -> Option<Letter> {
        if !self.has_message() {
            return None;
        }
        // SAFETY: a whole message is there, which the kernel does not change before it is freed.
        let header = unsafe { &*(self.header() as *const Header) };
        let mut letter = Letter {
            kind: header.kind,
            sender: header.sender,
            badge: header.badge,
            attached: header.attached != 0,
            length: usize::from(header.length),
            bytes: [0; fos_abi::mailbox::MESSAGE_MAX],
        };
        let from = (self.header() + HEADER_SIZE as u64) as *const u8;
        // SAFETY: the ring is mapped twice in a row, so a message's bytes are; the length is at most the array's.
        unsafe {
            core::ptr::copy_nonoverlapping(
                from,
                letter.bytes.as_mut_ptr(),
                letter.length.min(letter.bytes.len()),
            )
        };
        Some(letter)
    }

    /// Takes the next message.
    pub fn take(&mut self) -> Option<Letter> {
        let letter = self.peek()?;
        // SAFETY: as in `peek`.
        let slots = unsafe { &*(self.header() as *const Header) }.slots;
        self.head = self.head.wrapping_add(slots);
        self.control().head.store(self.head, Ordering::Release);
        Some(letter)
    }

    /// Takes the next message, and sleeps until there is one.
    pub fn receive(&mut self, deadline: Deadline) -> Result<Letter, Error> {
        loop {
            if let Some(letter) = self.take() {
                return Ok(letter);
            }
            calls::wait(&fos_abi::calls::WaitList { deadline: deadline.0, mailboxes: [self.mailbox.0] })?;
            self.control().bells.store(0, Ordering::Release);
        }
    }

    /// Takes and forgets everything: how many messages that was.
    pub fn drain(&mut self) -> u64 {
        let mut count = 0;
        while self.take().is_some() {
            count += 1;
        }
        count
    }
}

impl Stage {
    /// A stage on a ground.
    pub fn new(ground: Ground) -> Stage {
        Stage { ground, window: 0, helper: None, image: None, codes: Vec::new() }
    }

    /// A fresh window with a page table.
    pub fn fresh_window(&mut self) -> Result<u64, Broken> {
        if self.window == 0 {
            let window = self.ground.window();
            self.ground.prepare_window(window)?;
            self.window = window;
        }
        Ok(self.window)
    }

    /// The helper, started when first asked for; `None` on a machine with one core.
    pub fn helper(&mut self) -> Result<Option<&mut Helper>, Broken> {
        if self.helper.is_none()
            && let Some(core) = self.ground.other_core()
        {
            self.helper = Some(Helper::start(&mut self.ground, core)?);
        }
        Ok(self.helper.as_mut())
    }

    /// Ground and helper together.
    pub fn with_helper(&mut self) -> Result<(&mut Ground, Option<&mut Helper>), Broken> {
        self.helper()?;
        Ok((&mut self.ground, self.helper.as_mut()))
    }

    /// A child on a plot of its own, stopped. What it is given is in its block, see [`word`].
    pub fn child(&mut self, entry: extern "C" fn(u64) -> u64, core: u64) -> Result<(Plot, Process), Broken> {
        self.child_with(entry, core, CHILD_OWN_FRAMES, 2)
    }

    /// As [`Stage::child`], with so many frames for itself and so many for its capability table.
    pub fn child_with(
        &mut self,
        entry: extern "C" fn(u64) -> u64,
        core: u64,
        own_frames: u64,
        table_frames: usize,
    ) -> Result<(Plot, Process), Broken> {
        let mut plot = self.ground.plot(CHILD_FRAMES + own_frames)?;
        let window = self.ground.window();
        let permanent: &mut dyn Frames = &mut self.ground.permanent;
        if self.image.is_none() {
            self.image = Some(Image::copy(permanent, window).during("copying the program")?);
        }
        let Some(image) = &self.image else {
            return Err(Broken { step: "copying the program", error: Error::NoSlot });
        };
        let plan = Plan { core, table_frames, page_tables: 16, entry, window };
        let process =
            image.start(permanent, &mut plot, self.ground.grant.cores, &plan).during("building a child")?;
        self.codes.push((plot.whole, process.code));
        let own = plot.take(own_frames).during("a child's frames")?;
        let own = calls::cap_give(process.space, own).during("giving a child frames")?;
        let block = process.block();
        block[word::FRAMES].store(u64::from(own.0), Ordering::Relaxed);
        block[word::CORE_COUNT].store(self.ground.grant.core_count, Ordering::Relaxed);
        block[word::TSC_HZ].store(self.ground.grant.tsc_hz, Ordering::Relaxed);
        block[word::CORE].store(core, Ordering::Relaxed);
        Ok((plot, process))
    }

    /// A thread of the program's own space, stopped.
    pub fn thread(&self, plot: &mut Plot, core: u64, registers: &Registers) -> Result<Handle, Error> {
        spawn::thread(plot, Handle::SELF, self.ground.grant.cores, core, registers)
    }

    /// Clears a case's plot, with whatever children stand on it.
    pub fn clear(&mut self, plot: Plot) -> crate::verdict::Verdict {
        let whole = plot.whole;
        self.ground.clear(plot)?;
        self.forget_codes(|plot| plot == whole)?;
        Ok(())
    }

    /// Clears everything that any case left behind.
    pub fn abandon(&mut self) -> Result<(), Broken> {
        self.ground.abandon()?;
        self.forget_codes(|_| true)
    }

    fn forget_codes(&mut self, ended: impl Fn(Handle) -> bool) -> Result<(), Broken> {
        for (_, code) in self.codes.iter().filter(|(plot, _)| ended(*plot)) {
            calls::frames_unmap(*code).during("unmapping an ended child's code")?;
            calls::cap_delete(*code).during("giving up an ended child's code")?;
        }
        self.codes.retain(|(plot, _)| !ended(*plot));
        Ok(())
    }

    /// A deadline for a peer's answer.
    pub fn patience(&self) -> Deadline {
        self.ground.after(PATIENCE_MILLISECONDS)
    }

    /// Some core other than the program's own, if there is one.
    pub fn far_core(&self) -> u64 {
        self.ground.other_core().unwrap_or(self.ground.grant.core)
    }

    /// Maps pages of a piece in the window of the case.
    pub fn map(&mut self, piece: Handle, pages: u64, address: u64, flags: MapFlags) -> Result<(), Error> {
        self.ground.map(piece, pages, address, flags)
    }
}

/// Waits until a word has a value; `false` when the deadline passes first.
pub fn wait_for(word: &AtomicU64, value: u64, deadline: Deadline) -> bool {
    while word.load(Ordering::Acquire) != value {
        if deadline.has_passed() {
            return false;
        }
        calls::thread_yield();
    }
    true
}

/// A word of mapped memory.
pub fn memory_word(address: u64) -> &'static AtomicU64 {
    // SAFETY: cases name only addresses that they mapped, and that stay mapped while they look.
    unsafe { &*(address as *const AtomicU64) }
}

/// A key with all rights.
pub fn full_key(mailbox: Handle, badge: u64) -> Result<Key, Error> {
    calls::key_create(mailbox, KeyRights::ALL, badge)
}

const _: () = assert!(KEYS >= 16);
