//! Sending and waiting: the calls that must be fast, and so no jobs.

use crate::arch::machine::cpu;
use crate::arch::machine::entry::Answer;
use crate::arch::machine::user_memory::UserRange;
use crate::calls::{attempt, target_space};
use crate::capabilities::{self, Capability, Finding};
use crate::cores;
use crate::jobs::{self, Job, Step};
use crate::mailbox::{self, Envelope, Mailbox};
use crate::names;
use crate::thread::{State, Thread};
use fos_abi::capability::{Handle, Kind, Rights};
use fos_abi::key::KeyRights;
use fos_abi::limits::WAIT_MAX;
use fos_abi::mailbox::{MESSAGE_MAX, MessageKind};
use fos_abi::{Error, Key};

/// `null`
pub extern "C" fn null(_: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    Answer::ok(0)
}

/// A message as the caller describes it.
#[derive(Clone, Copy)]
struct Message {
    mailbox: u64,
    secret: [u64; 2],
    entry: u64,
    pointer: u64,
    length: usize,
}

impl Message {
    /// From registers; `packed` is the length and, from bit 16 on, the key's entry.
    #[inline(always)]
    fn new(mailbox: u64, low: u64, high: u64, pointer: u64, packed: u64) -> Message {
        let length = packed as usize & 0xffff;
        Message { mailbox, secret: [low, high], entry: packed >> 16, pointer, length }
    }

    /// Checks it: the mailbox, what the key allows, the message's place in memory, and what goes with it.
    #[inline(always)]
    fn check(&self) -> Result<(&'static Mailbox, KeyRights, UserRange, Envelope), Error> {
        if self.length > MESSAGE_MAX {
            return Err(Error::TooLong);
        }
        let from = UserRange::or_empty(self.pointer, self.length)?;
        let mailbox = mailbox::find(self.mailbox)?;
        let (rights, badge) = mailbox.keys().check(self.entry, self.secret)?;
        if !rights.contains(KeyRights::SEND) {
            return Err(Error::NoRights);
        }
        let sender = cores::this().identity.get();
        Ok((mailbox, rights, from, Envelope { sender, badge, kind: MessageKind::Data }))
    }

    /// Sends it.
    #[inline(always)]
    fn send(&self) -> Result<u64, Error> {
        let (mailbox, _, from, envelope) = self.check()?;
        mailbox.send(cores::this(), from, self.length, envelope, None).map(u64::from)
    }

    /// Sends it with a capability, which leaves the caller's table: only its home core can do that at once.
    #[inline(always)]
    fn send_attached(&self, handle: u64) -> Result<u64, Error> {
        let (mailbox, rights, from, envelope) = self.check()?;
        let here = cores::this();
        let space = Thread::current().space;
        if !rights.contains(KeyRights::ATTACH) {
            return Err(Error::NoRights);
        }
        if space.home() != here.number {
            return Err(Error::WrongCore);
        }
        let (slot, capability): (_, Capability) = capabilities::find(space, handle)?;
        capabilities::check_movable(slot, &capability)?;
        let ticket = mailbox.send(here, from, self.length, envelope, Some(&capability))?;
        space.free_slot(space.index_of(slot));
        Ok(u64::from(ticket))
    }
}

/// Sends with a capability.
#[cold]
#[inline(never)]
extern "C" fn send_attached(
    mailbox: u64,
    low: u64,
    high: u64,
    pointer: u64,
    packed: u64,
    attach: u64,
) -> Answer {
    Message::new(mailbox, low, high, pointer, packed).send_attached(attach).into()
}

/// `send`
pub extern "C" fn send(mailbox: u64, low: u64, high: u64, pointer: u64, packed: u64, attach: u64) -> Answer {
    if packed >> 32 != 0 {
        return Answer::error(Error::BadArgument);
    }
    if attach == u64::from(Handle::NONE.0) {
        return Message::new(mailbox, low, high, pointer, packed).send().into();
    }
    send_attached(mailbox, low, high, pointer, packed, attach)
}

/// `send_wait`
pub extern "C" fn send_wait(
    mailbox: u64,
    low: u64,
    high: u64,
    pointer: u64,
    packed: u64,
    list: u64,
) -> Answer {
    let mailboxes = match WaitSet::read(list, packed >> 32) {
        Ok(mailboxes) => mailboxes,
        Err(error) => return Answer::error(error),
    };
    match Message::new(mailbox, low, high, pointer, packed & 0xffff_ffff).send() {
        Ok(_) => mailboxes.wait(),
        Err(error) => Answer::error(error),
    }
}

/// `wait`
pub extern "C" fn wait(list: u64, count: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    match WaitSet::read(list, count) {
        Ok(mailboxes) => mailboxes.wait(),
        Err(error) => Answer::error(error),
    }
}

/// The mailboxes a thread is about to wait for, found and put into the thread, and until when.
struct WaitSet {
    thread: &'static Thread,
    count: usize,
    deadline: u64,
}

impl WaitSet {
    /// Reads a wait list, in whole words: it is aligned, so its last word lies in a page that the list lies in.
    #[inline(always)]
    fn read(list: u64, count: u64) -> Result<WaitSet, Error> {
        let count = count as usize;
        if count.wrapping_sub(1) >= WAIT_MAX {
            return Err(Error::BadArgument);
        }
        if !list.is_multiple_of(8) {
            return Err(Error::BadAddress);
        }
        let mut words = core::mem::MaybeUninit::<[u64; 1 + WAIT_MAX / 2]>::uninit();
        let range = UserRange::new(list, if count == 1 { 16 } else { 8 + 8 * count.div_ceil(2) })?;
        // SAFETY: the array holds a deadline and WAIT_MAX handles, two in a word.
        unsafe { range.read(words.as_mut_ptr().cast())? };
        let words = words.as_ptr().cast::<u64>();
        let thread = Thread::current();
        // SAFETY: `count` handles were read.
        let handle = |index: usize| unsafe { words.add(1).cast::<u32>().add(index).read() };
        thread.waiting[0].set(own_mailbox(thread, handle(0))?);
        for index in 1..count {
            thread.waiting[index].set(own_mailbox(thread, handle(index))?);
        }
        // SAFETY: as above.
        Ok(WaitSet { thread, count, deadline: unsafe { words.read() } })
    }

    /// Sleeps, unless something is there already.
    #[inline(always)]
    fn wait(&self) -> Answer {
        let thread = self.thread;
        thread.waiting_count.set(self.count);
        // SAFETY: `read` put live mailboxes there in this same kernel entry.
        let mailbox = |index: usize| unsafe { &*thread.waiting[index].get() };
        let mut started = mailbox(0).start_waiting(thread);
        let mut nothing = !mailbox(0).has_something();
        for index in 1..self.count {
            started &= mailbox(index).start_waiting(thread);
            nothing &= !mailbox(index).has_something();
        }
        let endless = self.deadline == u64::MAX;
        if !started || !nothing || !endless && cpu::time_stamp() >= self.deadline {
            return self.give_up(started);
        }
        thread.state.set(State::Waiting);
        let here = cores::this();
        if !endless {
            thread.deadline.set(self.deadline);
            here.scheduler.set_timer(thread);
        }
        here.leave.set(1);
        Answer::ok(0)
    }

    /// Does not sleep after all: something is there, it is too late, or another thread waits there.
    #[cold]
    #[inline(never)]
    fn give_up(&self, started: bool) -> Answer {
        match self.thread.forget_waits() {
            0 if cpu::time_stamp() >= self.deadline => Answer::error(Error::TimedOut),
            0 if !started => Answer::error(Error::BadArgument),
            mask => Answer::ok(mask),
        }
    }
}

/// One of the caller's own mailboxes, at home on this core.
#[inline(always)]
fn own_mailbox(thread: &Thread, handle: u32) -> Result<&'static Mailbox, Error> {
    match thread.waited.get() {
        Some((same, mailbox, finding)) if same == handle && finding.stands() => Ok(mailbox),
        _ => find_own_mailbox(thread, handle),
    }
}

/// Finds it by its capability, and remembers it.
#[inline(never)]
fn find_own_mailbox(thread: &Thread, handle: u32) -> Result<&'static Mailbox, Error> {
    let space = thread.space;
    let finding = space.slot(Handle(handle).index()).map(Finding::before);
    let (_, capability) = capabilities::find(space, u64::from(handle))?;
    if capability.kind != Kind::Mailbox {
        return Err(Error::WrongKind);
    }
    let mailbox = capability.object::<Mailbox>().map_err(|_| Error::BadCapability)?;
    if mailbox.home.load(core::sync::atomic::Ordering::Relaxed) != cores::this().number {
        return Err(Error::WrongCore);
    }
    thread.waited.set(finding.map(|finding| (handle, mailbox, finding)));
    Ok(mailbox)
}

/// `ring`
pub extern "C" fn ring(mailbox: u64, low: u64, high: u64, bits: u64, entry: u64, _: u64) -> Answer {
    let rung = mailbox::find(mailbox).and_then(|mailbox| {
        let (rights, _) = mailbox.keys().check(entry, [low, high])?;
        if !rights.contains(KeyRights::RING) {
            return Err(Error::NoRights);
        }
        mailbox.ring(bits & !(1 << 63));
        Ok(0)
    });
    rung.into()
}

/// `send_name`
pub extern "C" fn send_name(name: u64, pointer: u64, length: u64, _: u64, _: u64, _: u64) -> Answer {
    let space = Thread::current().space;
    if name == 0 {
        return Answer::error(Error::BadArgument);
    }
    if length > MESSAGE_MAX as u64 {
        return Answer::error(Error::TooLong);
    }
    let Some(key) = names::find(space, name) else { return Answer::error(Error::Stale) };
    let packed = u64::from(key.entry) << 16 | length;
    let none = u64::from(Handle::NONE.0);
    let sent = send(key.mailbox.0, key.secret[0], key.secret[1], pointer, packed, none);
    if sent.error == Error::Closed as u64 || sent.error == Error::BadKey as u64 {
        names::remove(space, name);
        return Answer::error(Error::Stale);
    }
    sent
}

/// `name_set`
pub extern "C" fn name_set(space: u64, name: u64, key: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(name_set_step, [space, name, 0, 0, 0, 0], (0, 0), |job| job.read_input::<Key>(key))
}

fn name_set_step(job: &'static Job, here: &'static cores::Core) -> Step {
    let space = attempt!(target_space(job, job.argument(0), Rights::CONTROL));
    if job.argument(1) == 0 {
        return Step::Done(Err(Error::BadArgument));
    }
    if space.home() != here.number {
        return Step::Go(space.home());
    }
    names::set(space, job.argument(1), &job.input::<Key>());
    Step::Done(Ok(0))
}
