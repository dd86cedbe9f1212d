//! One of everything, in every state that a call's documented errors speak of: a capability that is fine, one that is
//! mapped, one with children, one whose frames hold an object, one without rights; objects that live, that sleep, that
//! have ended. Cases and fuzzer aim at it; it stands on one plot and goes with it.
//!
//! Long because: it is one list of objects, built in the order in which they need each other.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::AtomicU64;

use fos_abi::calls::WaitList;
use fos_abi::capability::{Handle, Rights};
use fos_abi::key::KeyRights;
use fos_abi::limits::SLOTS_PER_FRAME;
use fos_abi::mailbox::frames_for;
use fos_abi::space::{MapFlags, SPACE_FRAMES};
use fos_abi::thread::{Registers, THREAD_FRAMES, ThreadSetup};
use fos_abi::{Error, Key};
use libfos::calls;
use libfos::measure;
use libfos::spawn::Frames;

use crate::ground::{Ground, PAGE, Plot, WINDOW_BYTES};
use crate::helper::Helper;
use crate::kernel::{Broken, During, word};

/// Slots and keys of every mailbox here: the smallest.
pub const SLOTS: usize = 64;
/// See [`SLOTS`].
pub const KEYS: usize = 16;
/// Frames of such a mailbox.
pub const MAILBOX_FRAMES: u64 = match frames_for(SLOTS, KEYS) {
    Some((frames, _)) => frames as u64,
    None => panic!("the smallest mailbox is allowed"),
};
/// Frames of a space with the smallest table.
pub const SMALL_SPACE_FRAMES: u64 = (SPACE_FRAMES + 1) as u64;
/// Frames that a fixture's plot has.
pub const PLOT_FRAMES: u64 = 192;
/// Pages that cases map and unmap.
pub const FIELD_PAGES: u64 = 64;

/// Numbers of frames that objects are built in: anything, thread, space, mailbox.
pub const SIZES: [u64; 4] = [1, THREAD_FRAMES as u64, SMALL_SPACE_FRAMES, MAILBOX_FRAMES];

/// Places in the fixture's window; all share one page table.
pub mod place {
    /// A page that may be written; the next one is not mapped.
    pub const SCRATCH: u64 = 0;
    /// A page that may only be read.
    pub const READ_ONLY: u64 = 0x4000;
    /// A page that is mapped from `still_mapped`.
    pub const MAPPED: u64 = 0x8000;
    /// Where the mailbox is mapped.
    pub const MAILBOX: u64 = 0x1_0000;
    /// Where cases map and unmap: [`super::FIELD_PAGES`].
    pub const FIELD: u64 = 0x10_0000;
    /// Nothing is ever mapped here.
    pub const NOTHING: u64 = 0x1c_0000;
}

/// Capabilities for the same first frames, one for each of [`SIZES`].
#[derive(Clone, Copy, Debug)]
pub struct BySize(pub [Handle; SIZES.len()]);

impl BySize {
    /// The one with `size` frames.
    pub fn of(&self, size: u64) -> Handle {
        SIZES.iter().position(|known| *known == size).map_or(self.0[0], |index| self.0[index])
    }
}

/// See the module.
pub struct Fixture {
    plot: Plot,
    /// Where its places are.
    pub window: u64,
    /// Frames in perfect order; each may be used and must be put back.
    pub good: BySize,
    /// Frames of which the first is mapped.
    pub still_mapped: BySize,
    /// The capability through which that frame is mapped.
    pub mapped_whole: Handle,
    /// Frames from which something is derived.
    pub parents: BySize,
    /// Frames that hold a mailbox, through a capability beside the mailbox's own.
    pub occupied: BySize,
    /// Frames with no rights at all.
    pub weak: BySize,
    /// Frames that may only be read.
    pub read_only: Handle,
    /// The end of a chain of derivations as long as is allowed.
    pub deepest: Handle,
    /// A mailbox, mapped at [`place::MAILBOX`].
    pub mailbox: Handle,
    /// All rights to it, badge 1.
    pub key: Key,
    /// Only to ring it.
    pub ring_key: Key,
    /// Only to send bytes to it.
    pub send_key: Key,
    /// A key to it that was revoked.
    pub dead_key: Key,
    /// A key of a mailbox that has ended.
    pub closed_key: Key,
    /// A key of a mailbox in which this process holds its whole share.
    pub full_key: Key,
    /// A mailbox whose key table is full.
    pub crowded: Handle,
    /// A key to it.
    pub crowded_key: Key,
    /// A mailbox at home on another core (`NONE` on one core).
    pub foreign: Handle,
    /// A space on another core, with page tables.
    pub space: Handle,
    /// Its page tables.
    pub tables: Handle,
    /// It, without rights.
    pub weak_space: Handle,
    /// A space that has ended.
    pub ended_space: Handle,
    /// A space without page tables.
    pub bare_space: Handle,
    /// A space whose capability table is full.
    pub full_space: Handle,
    /// A stopped thread in the program's own space.
    pub thread: Handle,
    /// It, without rights.
    pub weak_thread: Handle,
    /// A thread that sleeps.
    pub sleeper: Handle,
    /// A stopped thread in [`Fixture::bare_space`].
    pub bare_thread: Handle,
    /// A thread that has ended.
    pub ended_thread: Handle,
    /// A watch on the thread.
    pub watch: Handle,
    /// The cores, without rights.
    pub weak_cores: Handle,
    /// The ports, without rights (`NONE` without ports).
    pub weak_ports: Handle,
    /// The line, without rights (`NONE` without a line).
    pub weak_interrupts: Handle,
    /// The line, bound (`NONE` without a line).
    pub interrupt: Cell<Handle>,
    sleep_list: Box<WaitList<1>>,
}

/// Derives one capability per size over the first frames of `from`.
fn by_size(from: Handle, rights: Rights) -> Result<BySize, Error> {
    let mut handles = [Handle::NONE; SIZES.len()];
    for (handle, size) in handles.iter_mut().zip(SIZES) {
        *handle = calls::cap_derive(from, rights, 0, size)?;
    }
    Ok(BySize(handles))
}

/// A mailbox out of a plot's frames.
pub fn mailbox(plot: &mut Plot) -> Result<Handle, Error> {
    calls::mailbox_create(plot.take(MAILBOX_FRAMES)?, SLOTS, KEYS)
}

/// A space with a table of one frame out of a plot's frames.
pub fn space(plot: &mut Plot, core: u64) -> Result<Handle, Error> {
    calls::space_create(plot.take(SMALL_SPACE_FRAMES)?, 1, core)
}

/// Frames in the states that other calls refuse.
struct FrameStates {
    good: BySize,
    still_mapped: BySize,
    mapped_whole: Handle,
    parents: BySize,
    weak: BySize,
    read_only: Handle,
    deepest: Handle,
}

fn frame_states(ground: &mut Ground, plot: &mut Plot, window: u64) -> Result<FrameStates, Broken> {
    let mut good = BySize([Handle::NONE; SIZES.len()]);
    for (handle, size) in good.0.iter_mut().zip(SIZES) {
        *handle = plot.take(size).during("good frames")?;
    }
    let mapped = plot.take(MAILBOX_FRAMES).during("mapped frames")?;
    let mapped_whole = calls::cap_derive(mapped, Rights::ALL, 0, 1).during("mapped frames")?;
    ground.map(mapped_whole, 1, window + place::MAPPED, MapFlags::WRITE).during("mapped frames")?;
    let parents = plot.take(MAILBOX_FRAMES).during("parents")?;
    let parents = by_size(parents, Rights::ALL).during("parents")?;
    for parent in parents.0 {
        calls::cap_derive(parent, Rights::READ, 0, 1).during("children")?;
    }
    let plain = plot.take(MAILBOX_FRAMES).during("plain frames")?;
    Ok(FrameStates {
        good,
        still_mapped: by_size(mapped, Rights::ALL).during("mapped frames")?,
        mapped_whole,
        parents,
        weak: by_size(plain, Rights(0)).during("weak frames")?,
        read_only: calls::cap_derive(plain, Rights::READ, 0, 1).during("read-only frames")?,
        deepest: deepest(plain)?,
    })
}

/// Derives until the chain is too deep.
fn deepest(from: Handle) -> Result<Handle, Broken> {
    let mut deepest = from;
    loop {
        match calls::cap_derive(deepest, Rights::ALL, 0, 1) {
            Ok(next) => deepest = next,
            Err(Error::TooDeep) => return Ok(deepest),
            Err(error) => return Err(Broken { step: "a deep chain", error }),
        }
    }
}

/// Mailboxes and keys in their states.
struct Mailboxes {
    occupied: BySize,
    mailbox: Handle,
    key: Key,
    ring_key: Key,
    send_key: Key,
    dead_key: Key,
    closed_key: Key,
    full_key: Key,
    crowded: Handle,
    crowded_key: Key,
    foreign: Handle,
}

fn mailboxes(plot: &mut Plot, window: u64, helper: Option<&mut Helper>) -> Result<Mailboxes, Broken> {
    let both = plot.take(MAILBOX_FRAMES).during("a mailbox's frames")?;
    let occupied = by_size(both, Rights::ALL).during("a mailbox's frames")?;
    let own = calls::cap_derive(both, Rights::ALL, 0, MAILBOX_FRAMES).during("a mailbox's frames")?;
    let main = calls::mailbox_create(own, SLOTS, KEYS).during("a mailbox")?;
    calls::mailbox_map(main, window + place::MAILBOX).during("mapping a mailbox")?;
    let key = calls::key_create(main, KeyRights::ALL, 1).during("a key")?;
    let dead_key = calls::key_create(main, KeyRights::ALL, 2).during("a key to revoke")?;
    calls::key_revoke(main, &dead_key).during("revoking a key")?;
    let crowded = mailbox(plot).during("a crowded mailbox")?;
    Ok(Mailboxes {
        occupied,
        mailbox: main,
        key,
        ring_key: calls::key_derive(&key, KeyRights::RING, 3).during("a weaker key")?,
        send_key: calls::key_derive(&key, KeyRights::SEND, 4).during("a weaker key")?,
        dead_key,
        closed_key: closed_key(plot)?,
        full_key: full_key(plot)?,
        crowded,
        crowded_key: crowd(crowded)?,
        foreign: match helper {
            Some(helper) => foreign(plot, helper).during("a mailbox on another core")?,
            None => Handle::NONE,
        },
    })
}

fn closed_key(plot: &mut Plot) -> Result<Key, Broken> {
    let mailbox = mailbox(plot).during("a mailbox to end")?;
    let key = calls::key_create(mailbox, KeyRights::ALL, 5).during("a key of a mailbox to end")?;
    calls::destroy(mailbox).during("ending a mailbox")?;
    Ok(key)
}

/// Sends to a mailbox that nobody reads until it is full.
fn full_key(plot: &mut Plot) -> Result<Key, Broken> {
    let mailbox = mailbox(plot).during("a mailbox to fill")?;
    let key = calls::key_create(mailbox, KeyRights::ALL, 6).during("a key of a mailbox to fill")?;
    for _ in 0..=SLOTS {
        match calls::send(&key, b"filling") {
            Ok(_) => {}
            Err(Error::Full) => return Ok(key),
            Err(error) => return Err(Broken { step: "filling a mailbox", error }),
        }
    }
    Err(Broken { step: "a mailbox never got full: send", error: Error::Full })
}

fn crowd(mailbox: Handle) -> Result<Key, Broken> {
    let first = calls::key_create(mailbox, KeyRights::ALL, 7).during("a key of a crowded mailbox")?;
    for _ in 0..KEYS {
        match calls::key_create(mailbox, KeyRights::ALL, 7) {
            Ok(_) => {}
            Err(Error::NoSlot) => return Ok(first),
            Err(error) => return Err(Broken { step: "crowding a mailbox", error }),
        }
    }
    Err(Broken { step: "a key table never got full: key_create", error: Error::NoSlot })
}

fn foreign(plot: &mut Plot, helper: &mut Helper) -> Result<Handle, Error> {
    let frames = plot.take(MAILBOX_FRAMES)?;
    let create = fos_abi::calls::Call::mailbox_create as u32;
    let created = helper.call(create, [word(frames), SLOTS as u64, KEYS as u64, 0, 0, 0])?;
    Ok(Handle(created as u32))
}

/// Spaces in their states.
struct Spaces {
    space: Handle,
    tables: Handle,
    weak_space: Handle,
    ended_space: Handle,
    bare_space: Handle,
    full_space: Handle,
}

fn spaces(plot: &mut Plot, core: u64, other_core: u64) -> Result<Spaces, Broken> {
    let live = space(plot, other_core).during("a space")?;
    let tables = plot.take(8).during("page tables")?;
    calls::space_donate(live, tables).during("giving page tables")?;
    let ended_space = space(plot, core).during("a space to end")?;
    end_by_twin(ended_space).during("ending a space")?;
    let full_space = space(plot, core).during("a space to fill")?;
    fill_space(plot, full_space)?;
    Ok(Spaces {
        space: live,
        tables,
        weak_space: calls::cap_derive(live, Rights(0), 0, 0).during("a weaker handle of a space")?,
        ended_space,
        bare_space: space(plot, core).during("a space without page tables")?,
        full_space,
    })
}

/// Ends an object through a derived capability: the owner's is left, and names what has ended.
fn end_by_twin(object: Handle) -> Result<(), Error> {
    let twin = calls::cap_derive(object, Rights::ALL, 0, 0)?;
    calls::destroy(twin)?;
    calls::cap_delete(twin)
}

/// Gives a space capabilities until its table is full.
fn fill_space(plot: &mut Plot, space: Handle) -> Result<(), Broken> {
    let frame = plot.take(1).during("a frame to give")?;
    for _ in 0..=SLOTS_PER_FRAME {
        let gift = calls::cap_derive(frame, Rights::ALL, 0, 1).during("a capability to give")?;
        match calls::cap_give(space, gift) {
            Ok(_) => {}
            Err(Error::NoSlot) => return calls::cap_delete(gift).during("a capability that was not given"),
            Err(error) => return Err(Broken { step: "filling a space's table", error }),
        }
    }
    Err(Broken { step: "a space's table never got full: cap_give", error: Error::NoSlot })
}

/// Threads in their states.
struct Threads {
    thread: Handle,
    weak_thread: Handle,
    sleeper: Handle,
    bare_thread: Handle,
    ended_thread: Handle,
}

fn threads(
    plot: &mut Plot,
    grant: &crate::ground::Grant,
    other_core: u64,
    bare: Handle,
    list: u64,
) -> Result<Threads, Broken> {
    let mut create = |space: Handle, core: u64| -> Result<Handle, Error> {
        calls::thread_create(plot.take(THREAD_FRAMES as u64)?, space, grant.cores, core)
    };
    let thread = create(Handle::SELF, grant.core).during("a thread")?;
    calls::thread_write(thread, &yielding()).during("a thread's registers")?;
    let sleeper = create(Handle::SELF, other_core).during("a thread to sleep")?;
    calls::thread_write(sleeper, &sleeping(list)).during("a sleeper's registers")?;
    calls::thread_resume(sleeper).during("starting a sleeper")?;
    let ended_thread = create(Handle::SELF, other_core).during("a thread to end")?;
    end_by_twin(ended_thread).during("ending a thread")?;
    Ok(Threads {
        thread,
        weak_thread: calls::cap_derive(thread, Rights(0), 0, 0).during("a weaker handle of a thread")?,
        sleeper,
        bare_thread: create(bare, grant.core).during("a thread in a bare space")?,
        ended_thread,
    })
}

/// Has a thread's faults reported.
pub fn report_to(thread: Handle, report: Key, cookie: u64) -> Result<(), Error> {
    let setup = ThreadSetup { area: Handle::NONE.0, report, cookie, ..ThreadSetup::default() };
    calls::thread_setup(thread, &setup)
}

/// Where threads count how often they yielded; nobody looks.
static YIELDS: AtomicU64 = AtomicU64::new(0);

/// Registers of a thread that runs on any core and harms nothing: it yields again and again.
pub fn yielding() -> Registers {
    Registers {
        rip: measure::yield_entry as *const () as u64,
        rdi: YIELDS.as_ptr() as u64,
        ..Registers::default()
    }
}

/// Registers of a thread that sleeps for ever, on the core of the list's mailbox.
fn sleeping(list: u64) -> Registers {
    Registers { rip: measure::sleep_entry as *const () as u64, rdi: list, ..Registers::default() }
}

fn weaker(handle: Handle, step: &'static str) -> Result<Handle, Broken> {
    if handle == Handle::NONE {
        return Ok(Handle::NONE);
    }
    let length = calls::cap_read(handle).during(step)?.length;
    calls::cap_derive(handle, Rights(0), 0, length).during(step)
}

impl Fixture {
    /// Builds everything. `window` must be prepared ([`Ground::prepare_window`]).
    pub fn build(ground: &mut Ground, window: u64, helper: Option<&mut Helper>) -> Result<Fixture, Broken> {
        let mut plot = ground.plot(PLOT_FRAMES)?;
        let core = ground.other_core().unwrap_or(ground.grant.core);
        let grant = ground.grant;
        let scratch = plot.take(2).during("scratch pages")?;
        ground
            .map(scratch, 1, window + place::SCRATCH, MapFlags::WRITE)
            .during("mapping the scratch page")?;
        calls::space_map(Handle::SELF, scratch, 1, 1, window + place::READ_ONLY, MapFlags::READ)
            .during("mapping a read-only page")?;
        let frames = frame_states(ground, &mut plot, window)?;
        let mailboxes = mailboxes(&mut plot, window, helper)?;
        let spaces = spaces(&mut plot, grant.core, core)?;
        // A thread sleeps for a mailbox of its own core.
        let bed = match mailboxes.foreign {
            Handle::NONE => mailbox(&mut plot).during("a mailbox to sleep for")?,
            foreign => foreign,
        };
        let sleep_list = Box::new(WaitList { deadline: u64::MAX, mailboxes: [bed.0] });
        let list = core::ptr::from_ref(&*sleep_list) as u64;
        let threads = threads(&mut plot, &grant, core, spaces.bare_space, list)?;
        report_to(threads.bare_thread, mailboxes.key, 10).during("reports of a thread in a bare space")?;
        let watch = calls::watch(threads.thread, mailboxes.mailbox, 8).during("a watch")?;
        let fixture = Fixture {
            plot,
            window,
            good: frames.good,
            still_mapped: frames.still_mapped,
            mapped_whole: frames.mapped_whole,
            parents: frames.parents,
            occupied: mailboxes.occupied,
            weak: frames.weak,
            read_only: frames.read_only,
            deepest: frames.deepest,
            mailbox: mailboxes.mailbox,
            key: mailboxes.key,
            ring_key: mailboxes.ring_key,
            send_key: mailboxes.send_key,
            dead_key: mailboxes.dead_key,
            closed_key: mailboxes.closed_key,
            full_key: mailboxes.full_key,
            crowded: mailboxes.crowded,
            crowded_key: mailboxes.crowded_key,
            foreign: mailboxes.foreign,
            space: spaces.space,
            tables: spaces.tables,
            weak_space: spaces.weak_space,
            ended_space: spaces.ended_space,
            bare_space: spaces.bare_space,
            full_space: spaces.full_space,
            thread: threads.thread,
            weak_thread: threads.weak_thread,
            sleeper: threads.sleeper,
            bare_thread: threads.bare_thread,
            ended_thread: threads.ended_thread,
            watch,
            weak_cores: weaker(grant.cores, "weaker cores")?,
            weak_ports: weaker(grant.ports, "weaker ports")?,
            weak_interrupts: weaker(grant.interrupts, "weaker interrupts")?,
            interrupt: Cell::new(bind(&grant, mailboxes.mailbox)?),
            sleep_list,
        };
        ground.use_up_tables()?;
        Ok(fixture)
    }

    /// Ends everything and audits what it stood on.
    pub fn clear(self, ground: &mut Ground) -> Result<(), crate::ground::Imbalance> {
        let outside =
            [self.weak_cores, self.weak_ports, self.weak_interrupts, self.interrupt.get(), self.watch];
        for handle in outside {
            // What a wild call already deleted, or the plot's end takes along, is refused: the slots are counted after.
            let _ = calls::cap_delete(handle);
        }
        ground.clear(self.plot)?;
        drop(self.sleep_list);
        Ok(())
    }

    /// Handles that wild calls may name: everything that goes with the plot.
    pub fn targets(&self) -> Vec<Handle> {
        let sets = [self.good, self.still_mapped, self.parents, self.occupied, self.weak];
        let mut targets: Vec<Handle> = sets.iter().flat_map(|set| set.0).collect();
        targets.extend([
            self.mapped_whole,
            self.read_only,
            self.deepest,
            self.mailbox,
            self.crowded,
            self.foreign,
            self.space,
        ]);
        targets.extend([self.weak_space, self.ended_space, self.bare_space, self.full_space, self.thread]);
        targets.extend([self.weak_thread, self.sleeper, self.bare_thread, self.ended_thread, self.watch]);
        targets.extend([self.weak_cores, self.weak_ports, self.weak_interrupts, self.interrupt.get()]);
        targets
    }

    /// Frames of the fixture's plot.
    pub fn plot(&self) -> &Plot {
        &self.plot
    }

    /// An address in the window.
    pub fn at(&self, place: u64) -> u64 {
        debug_assert!(place < WINDOW_BYTES);
        self.window + place
    }
}

fn bind(grant: &crate::ground::Grant, mailbox: Handle) -> Result<Handle, Broken> {
    if grant.interrupts == Handle::NONE {
        return Ok(Handle::NONE);
    }
    let line = calls::cap_read(grant.interrupts).during("reading the line")?.base;
    calls::interrupt_bind(grant.interrupts, line, mailbox, 9).during("binding the line")
}

const _: () = assert!(place::NOTHING + 0x4_0000 <= 512 * PAGE);
