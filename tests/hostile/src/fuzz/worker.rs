//! A worker: a process of its own on one core that makes calls as its generator says, round after round. Each round
//! builds a fixture, makes calls that mostly do no lasting harm to it, then calls that may wreck it, some of them
//! against a helper on another core, and at last clears everything away and audits what it stood on.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Display;

use fos_abi::Error;
use fos_abi::calls::{Call, PIPELINED, TICKET_SHIFT};
use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use fos_abi::limits::PIPELINE_MAX;
use fos_abi::thread::{Area, ThreadSetup};
use libfos::calls;
use libfos::spawn::{Frames, own_block};

use super::actions;
use super::board::{Board, Orders};
use super::choice::Choices;
use crate::aims::{Desk, Range, call_numbered};
use crate::fixture::{Fixture, place};
use crate::ground::{Grant, Ground, PAGE, empty_table, fill_table};
use crate::helper::Helper;
use crate::kernel::{Answer, Arguments, call, info, is_documented, numbered, word};
use crate::random::Random;
use crate::stage::{Inbox, load_key, store_key, word as block_word};
use crate::table::needs_full_table;

/// Calls of a round before it turns wild.
const CALM_CALLS: u64 = 60_000;
/// Calls of a round's wild end.
const WILD_CALLS: u64 = 800;
/// Of these, how many race a helper.
const RACES: u64 = 150;
/// Where a worker has its area.
const AREA: u64 = 0x5200_0000_0000;
/// How long a pipelined call may take.
const PIPELINED_SECONDS: u64 = 20;

/// A worker in the middle of a round.
pub struct Worker {
    /// Where counts go.
    pub board: Board,
    /// What it was told.
    pub orders: Orders,
    /// Its choices.
    pub random: Random,
    /// Structures that calls read and write.
    pub desk: Box<Desk>,
    /// What it stands on.
    pub ground: Ground,
    /// The mailbox of the fixture, as its receiver.
    pub inbox: Option<Inbox>,
    choices: Choices,
    tickets: [u64; PIPELINE_MAX],
}

/// A worker's life.
pub extern "C" fn live(block: u64) -> u64 {
    let board = Board(own_block(block));
    let outcome = work(board);
    board.finish(outcome);
    0
}

fn sentence(error: impl Display) -> String {
    error.to_string()
}

fn work(board: Board) -> Result<(), String> {
    let orders = board.orders();
    let read = |index: usize| board.0[index].load(core::sync::atomic::Ordering::Relaxed);
    let grant = Grant {
        frames: Handle(read(block_word::FRAMES) as u32),
        cores: Handle(orders.cores as u32),
        core_count: read(block_word::CORE_COUNT),
        core: read(block_word::CORE),
        ports: Handle(orders.ports as u32),
        interrupts: Handle(orders.interrupts as u32),
        tsc_hz: read(block_word::TSC_HZ),
    };
    let mut ground = Ground::new(grant).map_err(sentence)?;
    set_up_area(&mut ground, board).map_err(|error| format!("the worker's area was refused: {error:?}"))?;
    let window = ground.window();
    ground.prepare_window(window).map_err(sentence)?;
    let mut helper = match ground.other_core() {
        Some(core) => Some(Helper::start(&mut ground, core).map_err(sentence)?),
        None => None,
    };
    ground.use_up_tables().map_err(sentence)?;
    let mut worker = Worker {
        board,
        orders,
        random: Random::new(orders.seed, orders.number + 1),
        desk: Box::new(Desk::new()),
        ground,
        inbox: None,
        choices: Choices::new(),
        tickets: [0; PIPELINE_MAX],
    };
    let slots = worker.ground.free_slots();
    while board.calls_made() < orders.calls {
        worker.round(window, helper.as_mut(), slots)?;
        board.count_round();
    }
    Ok(())
}

/// The own area, for completions of pipelined calls; faults are still reported to the program that started this one.
fn set_up_area(ground: &mut Ground, board: Board) -> Result<(), Error> {
    let setup = ThreadSetup {
        area: ground.permanent.take(1)?.0,
        area_address: AREA,
        report: load_key(board.report_key()),
        cookie: board.orders().number,
        ..ThreadSetup::default()
    };
    loop {
        match calls::thread_setup(Handle::SELF, &setup) {
            Err(Error::NoTables) => calls::space_donate(Handle::SELF, ground.permanent.take(4)?)?,
            other => return other,
        }
    }
}

impl Worker {
    /// Makes a call and counts how it ended.
    #[inline]
    pub fn invoke(&mut self, target: Call, arguments: Arguments) -> Answer {
        self.board.begin(target as u32, &arguments);
        let answer = call(target, arguments);
        self.judge(target, &arguments, answer);
        answer
    }

    /// Counts an outcome, and keeps it if it is not documented.
    pub fn judge(&mut self, target: Call, arguments: &Arguments, answer: Answer) {
        self.board.count(target, answer);
        if let Err(error) = answer
            && !is_documented(target, error)
        {
            self.board.find(target, arguments, error);
        }
    }

    /// Makes a call that may be pipelined so, and waits for its end.
    pub fn invoke_pipelined(&mut self, target: Call, arguments: Arguments) -> Answer {
        let ticket = self.random.below(PIPELINE_MAX as u64) as usize;
        let number = target as u32 | PIPELINED | (ticket as u32) << TICKET_SHIFT;
        self.board.begin(number, &arguments);
        let before = self.completion(ticket).0;
        let begun = numbered(number, arguments);
        if begun.is_err() {
            self.judge(target, &arguments, begun);
            return begun;
        }
        let deadline = self.ground.after(PIPELINED_SECONDS * 1000);
        while self.completion(ticket).0 == before {
            if deadline.has_passed() {
                self.board.find(target, &arguments, Error::TimedOut);
                return Err(Error::TimedOut);
            }
            calls::thread_yield();
        }
        self.tickets[ticket] += 1;
        let (_, error, value) = self.completion(ticket);
        let answer = Error::from_number(error as u32).map_or(Ok(value), Err);
        self.judge(target, &arguments, answer);
        answer
    }

    fn completion(&self, ticket: usize) -> (u64, u64, u64) {
        // SAFETY: the area is mapped there since `set_up_area`; the kernel writes these words at any time, so they are
        // read one by one, each once.
        unsafe {
            let place =
                (&raw const (*(AREA as *const Area)).completions).cast::<fos_abi::thread::Completion>();
            let place = place.add(ticket);
            let count = (&raw const (*place).count).read_volatile();
            (count, (&raw const (*place).error).read_volatile(), (&raw const (*place).value).read_volatile())
        }
    }

    /// Arguments are made here.
    pub fn range<'a>(&'a mut self, fixture: &'a Fixture) -> Range<'a> {
        Range { fixture, desk: &mut self.desk, grant: self.ground.grant, random: &mut self.random }
    }

    /// Takes every message that waits.
    pub fn drain(&mut self) {
        if let Some(inbox) = &mut self.inbox {
            inbox.drain();
            inbox.control().bells.store(0, core::sync::atomic::Ordering::Release);
        }
    }

    fn round(&mut self, window: u64, mut helper: Option<&mut Helper>, slots: usize) -> Result<(), String> {
        let fixture = Fixture::build(&mut self.ground, window, helper.as_deref_mut()).map_err(sentence)?;
        self.inbox = Some(Inbox::over(fixture.mailbox, fixture.at(place::MAILBOX)));
        self.range(&fixture).set_names().map_err(|error| format!("filling the name cache: {error:?}"))?;
        self.publish(&fixture)?;
        actions::every_call_once(self, &fixture, helper.as_deref_mut());
        self.every_pair_once(&fixture);
        let end = self.board.calls_made() + CALM_CALLS;
        while self.board.calls_made() < end && self.board.calls_made() < self.orders.calls {
            self.step(&fixture);
        }
        self.wild(&fixture, helper);
        self.inbox = None;
        fixture.clear(&mut self.ground).map_err(sentence)?;
        let free = self.ground.free_slots();
        if free == slots {
            Ok(())
        } else {
            Err(format!("audit: {free} capability slots are free, {slots} were"))
        }
    }

    /// A key for the neighbours.
    fn publish(&mut self, fixture: &Fixture) -> Result<(), String> {
        let rights = KeyRights::SEND.with(KeyRights::RING);
        let key = calls::key_derive(&fixture.key, rights, 99)
            .map_err(|error| format!("a public key: {error:?}"))?;
        store_key(self.board.public_key(), &key);
        Ok(())
    }

    fn step(&mut self, fixture: &Fixture) {
        let target = self.choices.pick(&mut self.random);
        match self.random.below(100) {
            0..60 => actions::succeed(self, fixture, target),
            60..85 => self.aim(fixture, target),
            _ => self.nearly(fixture, target),
        }
        if self.random.one_in(16) {
            self.drain();
        }
    }

    /// Aims at one of the call's documented errors.
    fn aim(&mut self, fixture: &Fixture, target: Call) {
        let errors = info(target).errors;
        if !errors.is_empty() {
            let error = self.random.pick(errors);
            self.aim_at(fixture, target, error);
        }
    }

    fn aim_at(&mut self, fixture: &Fixture, target: Call, error: Error) {
        if let Some(arguments) = self.range(fixture).aim(target, error) {
            let answer = self.invoke(target, arguments);
            actions::undo(self, fixture, target, &arguments, answer);
        }
    }

    fn every_pair_once(&mut self, fixture: &Fixture) {
        for entry in fos_abi::calls::CALLS {
            let target = call_numbered(entry.number);
            for error in entry.errors {
                if *error == Error::NoSlot && needs_full_table(target) {
                    self.without_slots(fixture, target);
                } else {
                    self.aim_at(fixture, target, *error);
                }
            }
        }
        self.drain();
    }

    /// A call that needs a free slot, with none.
    fn without_slots(&mut self, fixture: &Fixture, target: Call) {
        if target == Call::interrupt_bind && fixture.interrupt.get() == Handle::NONE {
            return;
        }
        self.drain();
        let Ok(arguments) = self.range(fixture).before_full_table(target) else { return };
        let taken = fill_table(self.ground.permanent.whole);
        let answer = self.invoke(target, arguments);
        empty_table(&taken);
        actions::undo(self, fixture, target, &arguments, answer);
        actions::after_full_table(self, fixture, target, &arguments);
    }

    /// Right arguments but for one or two; nothing that would take the fixture apart.
    fn nearly(&mut self, fixture: &Fixture, target: Call) {
        let mut arguments = self.range(fixture).right(target);
        if matches!(target, Call::wait | Call::send_wait) {
            // Nobody else would end a wait without a deadline.
            self.desk.list.deadline = self.random.below(2);
        }
        for _ in 0..1 + self.random.below(2) {
            let position = self.random.below(6) as usize;
            arguments[position] = self.strange(fixture, target, position, false);
        }
        if !actions::is_lasting(target) {
            let answer = self.invoke(target, arguments);
            actions::undo(self, fixture, target, &arguments, answer);
        }
    }

    /// A value for an argument: a handle where one is expected, a pointer where one is, a number elsewhere.
    fn strange(&mut self, fixture: &Fixture, target: Call, position: usize, any_target: bool) -> u64 {
        let is = |places: &[(usize, bool)]| places.iter().any(|(place, _)| *place == position);
        if crate::aims::handles(target).iter().any(|(place, _)| *place == position) {
            return self.strange_handle(fixture, any_target);
        }
        if is(crate::aims::pointers(target)) {
            let writes = crate::aims::pointers(target).contains(&(position, true));
            return self.range(fixture).bad_pointer(writes);
        }
        if target == Call::wait || target == Call::send_wait && position >= 4 {
            // A wait for ever would not come back.
            return self.random.next() | 1 << 40;
        }
        self.strange_number(fixture)
    }

    fn strange_handle(&mut self, fixture: &Fixture, any_target: bool) -> u64 {
        if any_target && !self.random.one_in(4) {
            let targets = fixture.targets();
            return word(self.random.pick(&targets));
        }
        let harmless = [fixture.weak_space, fixture.weak_thread, fixture.ended_space, fixture.ended_thread];
        if self.random.one_in(2) {
            word(self.random.pick(&harmless))
        } else {
            word(self.range(fixture).bad_handle())
        }
    }

    fn strange_number(&mut self, fixture: &Fixture) -> u64 {
        let numbers = [
            0,
            1,
            2,
            3,
            5,
            64,
            511,
            512,
            513,
            PAGE,
            0xffff,
            1 << 16,
            u64::from(u32::MAX),
            1 << 32,
            1 << 63,
            u64::MAX,
            fixture.at(place::FIELD),
            fixture.at(place::FIELD) + 3 * PAGE,
            fixture.at(place::NOTHING),
            fos_abi::limits::USER_END,
            0xffff_8000_0000_0000,
        ];
        if self.random.one_in(8) { self.random.next() } else { self.random.pick(&numbers) }
    }

    /// Calls that may wreck the fixture, some at the same moment as a helper's on another core.
    fn wild(&mut self, fixture: &Fixture, helper: Option<&mut Helper>) {
        for _ in 0..WILD_CALLS {
            let (target, arguments) = self.wild_call(fixture);
            let answer = self.invoke(target, arguments);
            actions::undo(self, fixture, target, &arguments, answer);
        }
        let Some(helper) = helper else { return };
        for _ in 0..RACES {
            let (theirs, their_arguments) = self.wild_call(fixture);
            let delay = self.random.below(300);
            helper.arm(theirs as u32, their_arguments, delay);
            let (mine, my_arguments) = self.wild_call(fixture);
            helper.release();
            (0..self.random.below(300)).for_each(|_| core::hint::spin_loop());
            let answer = self.invoke(mine, my_arguments);
            let their_answer = helper.answer();
            self.judge(theirs, &their_arguments, their_answer);
            actions::undo(self, fixture, mine, &my_arguments, answer);
            actions::undo(self, fixture, theirs, &their_arguments, their_answer);
        }
    }

    fn wild_call(&mut self, fixture: &Fixture) -> (Call, Arguments) {
        let target = loop {
            let target = call_numbered(self.random.below(fos_abi::calls::CALLS.len() as u64) as u32);
            if !matches!(target, Call::thread_exit | Call::wait | Call::send_wait) {
                break target;
            }
        };
        let mut arguments = self.range(fixture).right(target);
        for (position, argument) in arguments.iter_mut().enumerate() {
            if self.random.one_in(3) {
                *argument = self.strange(fixture, target, position, true);
            }
        }
        (target, arguments)
    }
}
