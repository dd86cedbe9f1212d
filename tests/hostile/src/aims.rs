//! How to make each call succeed, and how to make it end in each of its documented errors: the arguments that are
//! right, and the one thing to do wrong.
//!
//! Most errors come from one rule per error: [`aim`] replaces a handle, a pointer or a key of the right arguments by
//! one that is wrong in just that way. What has no rule is in [`special`]. The table's cases ask for exactly the
//! error aimed at; the fuzzer only counts.
//!
//! Long because: one table says how each of some 300 pairs of call and error is reached; in parts it could not be
//! checked for gaps at a glance.

use fos_abi::calls::{CALLS, Call, WaitList};
use fos_abi::capability::{Handle, Rights};
use fos_abi::key::KeyRights;
use fos_abi::limits::{USER_END, WAIT_MAX};
use fos_abi::mailbox::MESSAGE_MAX;
use fos_abi::thread::{Registers, THREAD_FRAMES, ThreadSetup};
use fos_abi::{Error, Key};

use crate::fixture::{FIELD_PAGES, Fixture, KEYS, MAILBOX_FRAMES, SLOTS, SMALL_SPACE_FRAMES, place};
use crate::ground::{Grant, PAGE, UNTABLED};
use crate::kernel::{Arguments, word};
use crate::random::Random;

/// The call with this number.
pub fn call_numbered(number: u32) -> Call {
    // SAFETY: `Call` has one variant for each number below the table's length (the table is made from it).
    unsafe { core::mem::transmute(number % CALLS.len() as u32) }
}

/// Structures that calls read and write, at addresses that stay.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Desk {
    /// What `wait` and `send_wait` read.
    pub list: WaitList<WAIT_MAX>,
    /// What key calls read.
    pub key: Key,
    /// What `thread_write` reads.
    pub registers: Registers,
    /// What `thread_setup` reads.
    pub setup: ThreadSetup,
    /// Bytes to send.
    pub bytes: [u8; MESSAGE_MAX],
    /// Where calls write.
    pub out: [u64; 32],
}

impl Desk {
    /// An empty desk.
    pub fn new() -> Desk {
        Desk {
            list: WaitList { deadline: 0, mailboxes: [Handle::NONE.0; WAIT_MAX] },
            key: Key::default(),
            registers: Registers::default(),
            setup: ThreadSetup::default(),
            bytes: core::array::from_fn(|index| index as u8),
            out: [0; 32],
        }
    }
}

/// What a call's argument is, as far as wrong ones can be made by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A capability for this many frames that will hold an object, or be mapped.
    Frames(u64),
    /// A capability for frames that will only be looked at.
    Loan,
    /// A space.
    Space,
    /// A thread.
    Thread,
    /// A mailbox.
    Mailbox,
    /// Cores, ports, interrupt lines, an interrupt, the machine, a range of frames to look at.
    Other,
    /// Any capability.
    Any,
}

/// Which arguments of a call are handles, and of what.
pub fn handles(call: Call) -> &'static [(usize, Role)] {
    use Role::*;
    match call {
        Call::send => &[(5, Any)],
        Call::name_set | Call::space_unmap | Call::space_protect | Call::space_dirty => &[(0, Space)],
        Call::mailbox_create => &[(0, Frames(MAILBOX_FRAMES))],
        Call::mailbox_map | Call::key_create | Call::key_revoke | Call::accept => &[(0, Mailbox)],
        Call::cap_derive | Call::cap_delete | Call::cap_revoke | Call::cap_read => &[(0, Any)],
        Call::frame_read => &[(0, Loan)],
        Call::space_create => &[(0, Frames(SMALL_SPACE_FRAMES))],
        Call::space_donate => &[(0, Space), (1, Frames(1))],
        Call::space_map => &[(0, Space), (1, Frames(SMALL_SPACE_FRAMES))],
        Call::frames_unmap => &[(0, Loan)],
        Call::frames_fallback => &[(0, Loan), (1, Frames(1))],
        Call::cap_give => &[(0, Space), (1, Frames(1))],
        Call::thread_create => &[(0, Frames(THREAD_FRAMES as u64)), (1, Space), (2, Other)],
        Call::thread_setup | Call::thread_write | Call::thread_read => &[(0, Thread)],
        Call::thread_stop | Call::thread_resume | Call::thread_info => &[(0, Thread)],
        Call::destroy => &[(0, Thread)],
        Call::watch => &[(0, Thread), (1, Mailbox)],
        Call::watch_mailbox => &[(1, Mailbox)],
        Call::interrupt_bind => &[(0, Other), (2, Mailbox)],
        Call::interrupt_done | Call::port_read | Call::port_write | Call::machine_off => &[(0, Other)],
        _ => &[],
    }
}

/// Which arguments of a call are pointers, and whether the kernel writes there.
pub fn pointers(call: Call) -> &'static [(usize, bool)] {
    match call {
        Call::send => &[(3, false)],
        Call::send_wait => &[(3, false), (5, false)],
        Call::wait => &[(0, false)],
        Call::send_name => &[(1, false)],
        Call::name_set => &[(2, false)],
        Call::key_create => &[(3, true)],
        Call::key_derive => &[(0, false), (3, true)],
        Call::key_revoke | Call::thread_setup | Call::thread_write => &[(1, false)],
        Call::cap_read | Call::thread_read | Call::thread_info | Call::core_read => &[(1, true)],
        Call::watch_mailbox => &[(0, false)],
        _ => &[],
    }
}

/// Names in the program's own cache.
pub mod name {
    /// A key that may send.
    pub const GOOD: u64 = 1;
    /// A key that may not.
    pub const WEAK: u64 = 2;
    /// A key of a full mailbox.
    pub const FULL: u64 = 3;
    /// A key of a mailbox that has ended; a use removes it.
    pub const STALE: u64 = 4;
    /// A name to set and remove.
    pub const SPARE: u64 = 5;
}

/// Everything that arguments are made of.
pub struct Range<'a> {
    /// Objects in every state.
    pub fixture: &'a Fixture,
    /// Structures.
    pub desk: &'a mut Desk,
    /// Cores, ports, lines.
    pub grant: Grant,
    /// Choices.
    pub random: &'a mut Random,
}

fn address<T>(value: &T) -> u64 {
    core::ptr::from_ref(value) as u64
}

/// The `length | entry << 16 | count << 32` of sends.
pub fn lengths(key: &Key, length: u64, count: u64) -> u64 {
    length | u64::from(key.entry & 0xffff) << 16 | count << 32
}

impl Range<'_> {
    /// Arguments of a send with a key.
    fn sending(&self, key: &Key, length: u64) -> Arguments {
        let [low, high] = key.secret;
        let bytes = address(&self.desk.bytes);
        [key.mailbox.0, low, high, bytes, lengths(key, length, 0), word(Handle::NONE)]
    }

    /// Arguments of a send-and-wait with a key, for the fixture's mailbox.
    fn sending_and_waiting(&mut self, key: &Key, length: u64, deadline: u64) -> Arguments {
        let mut arguments = self.sending(key, length);
        self.desk.list.deadline = deadline;
        self.desk.list.mailboxes[0] = self.fixture.mailbox.0;
        arguments[4] = lengths(key, length, 1);
        arguments[5] = address(&self.desk.list);
        arguments
    }

    fn key_at_desk(&mut self, key: Key) -> u64 {
        self.desk.key = key;
        address(&self.desk.key)
    }

    /// Some length that fits one to eight slots.
    fn length(&mut self) -> u64 {
        if self.random.one_in(4) { self.random.below(MESSAGE_MAX as u64 + 1) } else { self.random.below(97) }
    }

    /// Arguments with which the call should succeed. Some need a preparation that the caller does: a message waiting,
    /// a page mapped, a capability attached, a thread running.
    pub fn right(&mut self, call: Call) -> Arguments {
        let f = self.fixture;
        let out = address(&self.desk.out);
        let field = f.at(place::FIELD);
        let own = word(Handle::SELF);
        let none = word(Handle::NONE);
        match call {
            Call::send => {
                let length = self.length();
                self.sending(&f.key, length)
            }
            Call::send_wait => {
                let length = self.length();
                let deadline = self.soon();
                self.sending_and_waiting(&f.key, length, deadline)
            }
            Call::wait => {
                self.desk.list.deadline = self.soon();
                self.desk.list.mailboxes[0] = f.mailbox.0;
                [address(&self.desk.list), 1, 0, 0, 0, 0]
            }
            Call::ring => [f.key.mailbox.0, f.key.secret[0], f.key.secret[1], 1, u64::from(f.key.entry), 0],
            Call::send_name => [name::GOOD, address(&self.desk.bytes), self.length(), 0, 0, 0],
            Call::name_set => [own, name::SPARE, self.key_at_desk(f.key), 0, 0, 0],
            Call::mailbox_create => [word(f.good.of(MAILBOX_FRAMES)), SLOTS as u64, KEYS as u64, 0, 0, 0],
            Call::mailbox_map => [word(f.crowded), field, 0, 0, 0, 0],
            Call::key_create => [word(f.mailbox), u64::from(KeyRights::ALL.0), self.random.next(), out, 0, 0],
            Call::key_derive => {
                [self.key_at_desk(f.key), u64::from(KeyRights::SEND.0), self.random.next(), out, 0, 0]
            }
            Call::key_revoke => [word(f.mailbox), self.key_at_desk(f.key), 0, 0, 0, 0],
            Call::accept => [word(f.mailbox), 0, 0, 0, 0, 0],
            Call::cap_derive => [word(f.good.of(4)), u64::from(Rights::READ.0), 1, 2, 0, 0],
            Call::cap_delete | Call::cap_revoke => [word(f.good.of(1)), 0, 0, 0, 0, 0],
            Call::cap_read => [word(f.mailbox), out, 0, 0, 0, 0],
            Call::frame_read => [word(f.good.of(4)), self.random.below(4), 0, 0, 0, 0],
            Call::space_create => [word(f.good.of(SMALL_SPACE_FRAMES)), 1, self.core(), 0, 0, 0],
            Call::space_donate => [word(f.space), word(f.good.of(1)), 0, 0, 0, 0],
            Call::space_map => [own, word(f.good.of(4)), 4 << 32, field, 2, 0],
            Call::space_unmap => [own, field, 4, 0, 0, 0],
            Call::space_protect => [own, field, 4, 0, 0, 0],
            Call::space_dirty => [own, field, FIELD_PAGES, 0, 0, 0],
            Call::frames_unmap => [word(f.good.of(4)), 0, 0, 0, 0, 0],
            Call::frames_fallback => [word(f.good.of(4)), word(f.good.of(1)), 0, 0, 0, 0],
            Call::cap_give => [word(f.space), word(f.good.of(1)), 0, 0, 0, 0],
            Call::thread_create => {
                let frames = word(f.good.of(THREAD_FRAMES as u64));
                [frames, own, word(self.grant.cores), self.core(), 0, 0]
            }
            Call::thread_setup => {
                self.desk.setup = ThreadSetup { area: Handle::NONE.0, ..ThreadSetup::default() };
                [word(f.thread), address(&self.desk.setup), 0, 0, 0, 0]
            }
            Call::thread_write => {
                self.desk.registers = crate::fixture::yielding();
                [word(f.thread), address(&self.desk.registers), 0, 0, 0, 0]
            }
            Call::thread_read | Call::thread_info => [word(f.thread), out, 0, 0, 0, 0],
            Call::thread_stop | Call::thread_resume | Call::destroy => [word(f.thread), 0, 0, 0, 0, 0],
            Call::watch => [word(f.thread), word(f.mailbox), self.random.next(), 0, 0, 0],
            Call::watch_mailbox => [self.key_at_desk(f.key), word(f.mailbox), self.random.next(), 0, 0, 0],
            Call::interrupt_bind => [word(self.grant.interrupts), self.line(), word(f.mailbox), 9, 0, 0],
            Call::interrupt_done => [word(f.interrupt.get()), 0, 0, 0, 0, 0],
            Call::port_read => [word(self.grant.ports), self.port(), 1, 0, 0, 0],
            Call::port_write => [word(self.grant.ports), self.port(), 1, 0, 0, 0],
            Call::machine_off => [none, 0, 0, 0, 0, 0],
            Call::core_read => [self.random.below(self.grant.core_count), out, 0, 0, 0, 0],
            Call::null | Call::thread_exit | Call::thread_yield => [0; 6],
        }
    }

    /// A deadline that only a wait for nothing meets.
    fn soon(&self) -> u64 {
        libfos::arch::ticks() + self.grant.tsc_hz
    }

    /// Some core.
    fn core(&mut self) -> u64 {
        self.random.below(self.grant.core_count)
    }

    fn line(&self) -> u64 {
        libfos::calls::cap_read(self.grant.interrupts).map_or(0, |info| info.base)
    }

    /// The clock chip's index port: writing 0 there selects the seconds, which harms nothing.
    fn port(&self) -> u64 {
        libfos::calls::cap_read(self.grant.ports).map_or(0, |info| info.base)
    }

    /// Arguments that should make the call end in `error`; `None` where that takes more than arguments (a full
    /// capability table, a fault to return from, a machine without ports).
    pub fn aim(&mut self, call: Call, error: Error) -> Option<Arguments> {
        if let Some(arguments) = self.special(call, error) {
            return Some(arguments);
        }
        let mut arguments = self.right(call);
        match error {
            Error::BadAddress => {
                let (position, writes) = self.pick(pointers(call))?;
                arguments[position] = self.bad_pointer(writes);
                self.lengthen(call, &mut arguments);
            }
            Error::BadCapability => {
                let (position, _) = self.pick(handles(call))?;
                arguments[position] = word(self.bad_handle());
            }
            Error::BadKey => {
                let forged = self.forged_key();
                arguments = self.with_key(call, forged)?;
            }
            Error::WrongKind => arguments = self.with_handle(call, |f, role| f.of_wrong_kind(role))?,
            Error::NoRights => arguments = self.with_handle(call, |f, role| f.without_rights(role))?,
            Error::Closed => arguments = self.with_handle(call, |f, role| f.ended(role))?,
            Error::HasChildren => arguments = self.with_handle(call, |f, role| f.with_children(role))?,
            Error::StillMapped => arguments = self.with_handle(call, |f, role| f.mapped(role))?,
            Error::InUse => arguments = self.with_handle(call, |f, role| f.in_use(role))?,
            _ => return None,
        }
        Some(arguments)
    }

    /// As [`Range::right`], and a send has bytes to copy.
    pub fn right_with_bytes(&mut self, call: Call) -> Arguments {
        let mut arguments = self.right(call);
        self.lengthen(call, &mut arguments);
        arguments
    }

    /// Nothing is copied of an empty message, so no pointer is wrong: sends 64 bytes.
    fn lengthen(&self, call: Call, arguments: &mut Arguments) {
        match call {
            Call::send | Call::send_wait => arguments[4] = arguments[4] & !0xffff | 64,
            Call::send_name => arguments[2] = 64,
            _ => {}
        }
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        (!choices.is_empty()).then(|| self.random.pick(choices))
    }

    /// The right arguments, with one handle replaced by what `wrong` gives for its role.
    fn with_handle(&mut self, call: Call, wrong: fn(&Fixture, Role) -> Option<Handle>) -> Option<Arguments> {
        let mut arguments = self.right(call);
        let start = self.random.next() as usize;
        let places = handles(call);
        let (position, handle) = (0..places.len())
            .map(|turn| places[(turn + start % places.len()) % places.len()])
            .find_map(|(position, role)| Some((position, wrong(self.fixture, role)?)))?;
        arguments[position] = word(handle);
        Some(arguments)
    }

    /// The right arguments with another key.
    fn with_key(&mut self, call: Call, key: Key) -> Option<Arguments> {
        let mut arguments = self.right(call);
        match call {
            Call::send | Call::send_wait | Call::ring => {
                arguments[0] = key.mailbox.0;
                arguments[1..3].copy_from_slice(&key.secret);
                if call == Call::ring {
                    arguments[4] = u64::from(key.entry);
                } else {
                    arguments[4] = arguments[4] & !0xffff_0000 | u64::from(key.entry & 0xffff) << 16;
                }
            }
            Call::name_set => arguments[2] = self.key_at_desk(key),
            Call::key_derive | Call::watch_mailbox => arguments[0] = self.key_at_desk(key),
            Call::key_revoke => arguments[1] = self.key_at_desk(key),
            _ => return None,
        }
        Some(arguments)
    }

    /// The fixture's key with one bit flipped, or one that was revoked.
    fn forged_key(&mut self) -> Key {
        let mut key = self.fixture.key;
        match self.random.below(4) {
            0 => key = self.fixture.dead_key,
            half @ 1..=2 => key.secret[half as usize - 1] ^= 1 << self.random.below(64),
            _ => key.entry ^= 1 << self.random.below(4),
        }
        key
    }

    /// A pointer that the kernel has to refuse.
    pub fn bad_pointer(&mut self, writes: bool) -> u64 {
        let f = self.fixture;
        let choices = [
            0,
            8,
            f.at(place::NOTHING),
            f.at(place::SCRATCH) + PAGE - 8,
            f.at(place::SCRATCH) + PAGE,
            USER_END,
            USER_END - 8,
            0x0000_8000_0000_0000,
            0x8000_0000_0000_0000,
            0xffff_8000_0000_0000,
            0xffff_ffff_8000_0000,
            u64::MAX - 7,
            UNTABLED,
        ];
        let read_only = writes && self.random.one_in(4);
        if read_only { f.at(place::READ_ONLY) } else { self.random.pick(&choices) }
    }

    /// A handle that names nothing: never given out, out of range, or of another epoch.
    pub fn bad_handle(&mut self) -> Handle {
        let known = self.fixture.mailbox;
        match self.random.below(3) {
            0 => Handle(0xfff0 + self.random.below(16) as u32),
            1 => Handle(known.0 ^ 1 << (16 + self.random.below(16))),
            _ => Handle::new(0x4000 + self.random.below(0x4000) as usize, 0),
        }
    }

    /// Pairs of call and error that no rule makes.
    fn special(&mut self, call: Call, error: Error) -> Option<Arguments> {
        let f = self.fixture;
        let mut arguments = self.right(call);
        match (call, error) {
            (Call::send | Call::send_wait, Error::BadArgument) => return self.bad_send(call),
            (Call::send | Call::send_wait, Error::Closed) => return self.with_key(call, f.closed_key),
            (Call::send | Call::send_wait, Error::NoRights) => return self.with_key(call, f.ring_key),
            (Call::send | Call::send_wait, Error::Full) => return self.with_key(call, f.full_key),
            (Call::send | Call::send_wait, Error::TooLong) => {
                arguments[4] |= self.random.pick(&[0xffff, 0x7c1])
            }
            (Call::send, Error::WrongCore) => return None,
            (Call::send, Error::WrongKind) => arguments[5] = word(f.watch),
            (Call::send, Error::HasChildren) => arguments[5] = word(f.parents.of(1)),
            (Call::send, Error::StillMapped) => arguments[5] = word(f.mapped_whole),
            (Call::send_wait | Call::wait, Error::BadCapability) => {
                self.desk.list.mailboxes[0] = self.bad_handle().0;
            }
            (Call::send_wait | Call::wait, Error::WrongKind) => self.desk.list.mailboxes[0] = f.thread.0,
            (Call::send_wait | Call::wait, Error::WrongCore) => {
                if f.foreign == Handle::NONE {
                    return None;
                }
                self.desk.list.mailboxes[0] = f.foreign.0;
            }
            (Call::wait, Error::BadArgument) => {
                arguments[1] = WAIT_MAX as u64 + 1 + self.random.below(1 << 40)
            }
            (Call::wait, Error::TimedOut) => {
                self.desk.list.deadline = self.random.below(2);
                self.desk.list.mailboxes[0] = f.crowded.0;
            }
            (Call::send_wait, Error::TimedOut) => {
                arguments = self.sending_and_waiting(&f.key, 8, 0);
                self.desk.list.mailboxes[0] = f.crowded.0;
            }
            (Call::ring, Error::Closed) => return self.with_key(call, f.closed_key),
            (Call::ring, Error::NoRights) => return self.with_key(call, f.send_key),
            (Call::send_name, Error::BadArgument) => arguments[0] = 0,
            (Call::send_name, Error::NoRights) => arguments[0] = name::WEAK,
            (Call::send_name, Error::Full) => arguments[0] = name::FULL,
            (Call::send_name, Error::Stale) => {
                let set = [word(Handle::SELF), name::STALE, self.key_at_desk(f.closed_key), 0, 0, 0];
                crate::kernel::call(Call::name_set, set).ok()?;
                arguments[0] = name::STALE;
            }
            (Call::send_name, Error::TooLong) => {
                arguments[2] = MESSAGE_MAX as u64 + 1 + self.random.below(1 << 50)
            }
            (Call::name_set, Error::BadArgument) => arguments[1] = 0,
            (Call::mailbox_create, Error::BadArgument) => arguments[1 + self.random.below(2) as usize] ^= 1,
            (Call::mailbox_map, Error::BadArgument) => arguments[1] = self.bad_page(),
            (Call::mailbox_map, Error::NoTables) => arguments[1] = UNTABLED,
            (Call::mailbox_map, Error::AlreadyMapped) => arguments[1] = f.at(place::MAILBOX),
            (Call::key_create, Error::BadArgument) => arguments[1] |= 1 << (5 + self.random.below(59)),
            (Call::key_create, Error::NoSlot) => arguments[0] = word(f.crowded),
            (Call::key_derive, Error::BadArgument) => arguments[1] |= 1 << (5 + self.random.below(59)),
            (Call::key_derive, Error::NoRights) => {
                arguments = self.with_key(call, f.send_key)?;
            }
            (Call::key_derive | Call::key_revoke | Call::watch_mailbox, Error::Closed) => {
                return self.with_key(call, f.closed_key);
            }
            (Call::key_derive, Error::NoSlot) => return self.with_key(call, f.crowded_key),
            (Call::key_revoke, Error::NoRights) => {
                arguments = self.with_key(call, f.send_key)?;
                arguments[0] = word(Handle::NONE);
            }
            (Call::accept, Error::BadArgument) => arguments[1] = self.random.next(),
            (Call::cap_derive, Error::BadArgument) => {
                arguments[3] = self.random.pick(&[0, 4, u64::MAX, 1 << 32])
            }
            (Call::cap_derive, Error::WrongKind) => arguments = [word(f.watch), 0, 0, 0, 0, 0],
            (Call::cap_derive, Error::NoRights) => arguments = [word(f.read_only), 0, 0, 1, 0, 0],
            (Call::cap_derive, Error::TooDeep) => arguments = [word(f.deepest), 0, 0, 1, 0, 0],
            (Call::cap_delete, Error::HasChildren) => arguments[0] = word(f.parents.of(1)),
            (Call::cap_delete, Error::StillMapped) => arguments[0] = word(f.mapped_whole),
            (Call::cap_delete, Error::InUse) => arguments[0] = word(f.mailbox),
            (Call::frame_read, Error::BadArgument) => arguments[1] = 4 + self.random.below(1 << 40),
            (Call::space_create, Error::BadArgument) => {
                let (position, value) =
                    self.random.pick(&[(1, 0), (1, 2), (1, 1 << 40), (2, 4096), (2, u64::MAX)]);
                arguments[position] = value;
            }
            (Call::space_donate, Error::BadArgument) => arguments[1] = word(f.plot().whole),
            (Call::space_donate, Error::NoRights) => arguments[0] = word(f.weak_space),
            (Call::space_map, Error::BadArgument) => {
                let wrong =
                    [(2, 0), (2, 5 << 32), (2, 4 | 1 << 32), (2, 513 << 32), (3, 1), (3, USER_END), (4, 16)];
                let (position, value) = self.random.pick(&wrong);
                arguments[position] = value;
            }
            (Call::space_map, Error::NoTables) => arguments[3] = UNTABLED,
            (Call::space_map, Error::AlreadyMapped) => arguments[3] = f.at(place::MAILBOX),
            (Call::space_unmap | Call::space_protect | Call::space_dirty, Error::BadArgument) => {
                let (position, value) =
                    self.random.pick(&[(1, 1), (1, USER_END), (2, 0), (2, 513), (2, u64::MAX)]);
                arguments[position] = value;
            }
            (Call::space_unmap | Call::space_protect, Error::NotMapped) => {
                arguments[1] = f.at(place::NOTHING)
            }
            (Call::frames_fallback, Error::BadArgument) => arguments[1] = word(f.good.of(2)),
            (Call::frames_fallback, Error::TooDeep) => arguments[1] = word(f.deepest),
            (Call::cap_give, Error::NoSlot) => arguments[0] = word(f.full_space),
            (Call::cap_give, Error::HasChildren) => arguments[1] = word(f.parents.of(1)),
            (Call::cap_give, Error::StillMapped) => arguments[1] = word(f.mapped_whole),
            (Call::cap_give, Error::WrongKind) => {
                let (position, handle) = self.random.pick(&[(0, f.thread), (1, f.watch)]);
                arguments[position] = word(handle);
            }
            (Call::thread_create, Error::BadArgument) => {
                arguments[3] = self.random.pick(&[255, 4096, u64::MAX])
            }
            (Call::thread_setup, _) => return self.special_setup(error),
            (Call::thread_write, Error::BadArgument) => {
                self.desk.registers.rip =
                    self.random.pick(&[USER_END, 0x8000_0000_0000, 0xffff_8000_0000_0000]);
            }
            (Call::thread_write | Call::thread_read | Call::thread_resume, Error::WrongState) => {
                arguments[0] = word(f.sleeper);
            }
            (Call::thread_stop, Error::WrongState) => arguments[0] = word(f.thread),
            (Call::destroy, Error::InUse) => arguments[0] = word(f.tables),
            (Call::watch, Error::BadArgument) if self.grant.core_count == 1 => return None,
            (Call::watch, Error::BadArgument) => arguments[0] = word(self.grant.cores),
            (Call::watch, Error::NoRights) => arguments[0] = word(f.weak_thread),
            (Call::watch_mailbox, Error::NoRights) => return self.with_key(call, f.send_key),
            (Call::interrupt_bind | Call::interrupt_done, _) if f.interrupt.get() == Handle::NONE => {
                return None;
            }
            (Call::interrupt_bind, Error::BadArgument) => arguments[1] ^= 1 << self.random.below(63),
            (Call::interrupt_bind, Error::NoRights) => arguments[0] = word(f.weak_interrupts),
            (Call::interrupt_bind, Error::InUse) => {}
            (Call::port_read | Call::port_write, _) if self.grant.ports == Handle::NONE => return None,
            (Call::port_read | Call::port_write, Error::BadArgument) => {
                let (position, value) = self.random.pick(&[(1, 0x80), (1, u64::MAX), (2, 0), (2, 3), (2, 8)]);
                arguments[position] = value;
            }
            (Call::port_read | Call::port_write, Error::NoRights) => arguments[0] = word(f.weak_ports),
            (Call::core_read, Error::BadArgument) => {
                arguments[0] = self.grant.core_count + self.random.below(1 << 40)
            }
            _ => return None,
        }
        Some(arguments)
    }

    fn bad_send(&mut self, call: Call) -> Option<Arguments> {
        let mut arguments = self.right(call);
        arguments[4] |= if call == Call::send { 1 << (32 + self.random.below(32)) } else { 33 << 32 };
        Some(arguments)
    }

    /// An address where no page can begin.
    fn bad_page(&mut self) -> u64 {
        let field = self.fixture.at(place::FIELD);
        self.random.pick(&[field + 1, field + 8, 0, USER_END, u64::MAX, 0xffff_8000_0000_0000])
    }

    fn special_setup(&mut self, error: Error) -> Option<Arguments> {
        let f = self.fixture;
        let mut arguments = self.right(Call::thread_setup);
        let setup = &mut self.desk.setup;
        setup.area_address = f.at(place::FIELD);
        setup.area = f.good.of(1).0;
        match error {
            Error::BadArgument => setup.area_address += 1 + self.random.below(PAGE - 1),
            Error::NoTables => {
                arguments[0] = word(f.bare_thread);
            }
            Error::AlreadyMapped => setup.area_address = f.at(place::MAILBOX),
            Error::StillMapped => setup.area = f.still_mapped.of(1).0,
            Error::InUse => setup.area = f.occupied.of(1).0,
            Error::WrongState => {
                setup.area = Handle::NONE.0;
                arguments[0] = word(f.sleeper);
            }
            _ => return None,
        }
        Some(arguments)
    }
}

impl Fixture {
    fn of_wrong_kind(&self, role: Role) -> Option<Handle> {
        match role {
            Role::Frames(_) | Role::Loan => Some(self.mailbox),
            Role::Space | Role::Mailbox | Role::Other => Some(self.thread),
            Role::Thread => Some(self.good.of(1)),
            Role::Any => None,
        }
    }

    fn without_rights(&self, role: Role) -> Option<Handle> {
        match role {
            Role::Frames(size) => Some(self.weak.of(size)),
            Role::Loan => Some(self.weak.of(1)),
            Role::Space => Some(self.weak_space),
            Role::Thread => Some(self.weak_thread),
            _ => None,
        }
    }

    fn ended(&self, role: Role) -> Option<Handle> {
        match role {
            Role::Space => Some(self.ended_space),
            Role::Thread => Some(self.ended_thread),
            _ => None,
        }
    }

    fn with_children(&self, role: Role) -> Option<Handle> {
        matches!(role, Role::Frames(_)).then(|| self.parents.of(frames_of(role)))
    }

    fn mapped(&self, role: Role) -> Option<Handle> {
        matches!(role, Role::Frames(_)).then(|| self.still_mapped.of(frames_of(role)))
    }

    fn in_use(&self, role: Role) -> Option<Handle> {
        matches!(role, Role::Frames(_)).then(|| self.occupied.of(frames_of(role)))
    }
}

fn frames_of(role: Role) -> u64 {
    match role {
        Role::Frames(size) => size,
        _ => 1,
    }
}

impl Range<'_> {
    /// Fills the program's name cache as [`name`] says.
    pub fn set_names(&mut self) -> Result<(), Error> {
        let f = self.fixture;
        let entries = [
            (name::GOOD, f.key),
            (name::WEAK, f.ring_key),
            (name::FULL, f.full_key),
            (name::STALE, f.closed_key),
            (name::SPARE, Key::default()),
        ];
        for (name, key) in entries {
            let arguments = [word(Handle::SELF), name, self.key_at_desk(key), 0, 0, 0];
            crate::kernel::call(Call::name_set, arguments)?;
        }
        Ok(())
    }

    /// Arguments for a call that needs a free slot in the capability table, and whatever must be so before the table is
    /// filled.
    pub fn before_full_table(&mut self, call: Call) -> Result<Arguments, Error> {
        let f = self.fixture;
        match call {
            Call::accept => {
                let gift = libfos::calls::cap_derive(f.good.of(1), Rights::ALL, 0, 1)?;
                let ticket = libfos::calls::send_with(&f.key, b"gift", gift)?;
                Ok([word(f.mailbox), u64::from(ticket), 0, 0, 0, 0])
            }
            Call::interrupt_bind => {
                libfos::calls::cap_delete(f.interrupt.get())?;
                Ok(self.right(call))
            }
            _ => Ok(self.right(call)),
        }
    }
}
