//! Tasks and which of them are ready. A task runs until it waits; nothing interrupts it. A waker may be held anywhere and
//! for as long as one likes: one that outlives its task wakes whatever has its place now, which looks and waits again.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Poll, RawWakerVTable, Waker};
use spin::Mutex;

/// When a ready task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Before any new message is taken, except responses.
    Normal,
    /// When no message waits and no other task is ready: background work.
    Idle,
}

/// What a task does.
pub type Work = Pin<Box<dyn Future<Output = ()>>>;

/// Who is ready, in the order of being woken.
#[derive(Default)]
struct Queue {
    tasks: Mutex<VecDeque<u32>>,
    /// How many they are, for a look without the lock.
    length: AtomicUsize,
}

impl Queue {
    fn push(&self, index: u32) {
        let mut tasks = self.tasks.lock();
        tasks.push_back(index);
        self.length.store(tasks.len(), Ordering::Release);
    }

    fn pop(&self) -> Option<u32> {
        let mut tasks = self.tasks.lock();
        let index = tasks.pop_front();
        self.length.store(tasks.len(), Ordering::Release);
        index
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.length.load(Ordering::Acquire) == 0
    }
}

/// By priority.
type Ready = [Queue; 2];

struct TaskWaker {
    index: u32,
    priority: Priority,
    is_queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<TaskWaker>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<TaskWaker>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.ready[self.priority as usize].push(self.index);
        }
    }
}

/// A place for a task. Its waker stays for the next task of the same priority.
struct Place {
    /// None while it runs.
    work: Cell<Option<Work>>,
    waker: Waker,
    task: Arc<TaskWaker>,
}

/// No task.
const NOBODY: u32 = u32::MAX;

/// Who waits for something that only this runtime's own thread says.
pub struct Waiter {
    /// The task at this place, for which no waker need be kept; or [`NOBODY`].
    task: u32,
    /// Something else that polls, inside of a task or not.
    other: Option<Waker>,
}

impl Default for Waiter {
    fn default() -> Waiter {
        Waiter { task: NOBODY, other: None }
    }
}

impl Waiter {
    /// Nobody waits any more. Whoever did is woken, but the task, if it is one: that is for the caller to
    /// [wake](Tasks::wake) or to [run](Tasks::run_now).
    #[inline]
    pub fn wake_others(&mut self) -> Option<u32> {
        if let Some(waker) = self.other.take() {
            waker.wake();
        }
        let task = core::mem::replace(&mut self.task, NOBODY);
        (task != NOBODY).then_some(task)
    }
}

/// A runtime's tasks.
#[derive(Default)]
pub struct Tasks {
    places: RefCell<Vec<Rc<Place>>>,
    free: [RefCell<Vec<u32>>; 2],
    ready: Arc<Ready>,
    /// The task that runs or ran last.
    running: Cell<u32>,
    /// What its waker is known by: its data and its functions.
    running_waker: Cell<Option<(*const (), &'static RawWakerVTable)>>,
}

impl Tasks {
    /// Adds a task, ready to run.
    pub fn spawn(&self, priority: Priority, work: Work) {
        let free = self.free[priority as usize].borrow_mut().pop();
        let mut places = self.places.borrow_mut();
        let index = free.unwrap_or_else(|| {
            let index = places.len() as u32;
            let is_queued = AtomicBool::new(false);
            let task = Arc::new(TaskWaker { index, priority, is_queued, ready: self.ready.clone() });
            places.push(Rc::new(Place { work: Cell::default(), waker: Waker::from(task.clone()), task }));
            index
        });
        let place = &places[index as usize];
        place.work.set(Some(work));
        place.task.wake_by_ref();
    }

    /// Whether a task of this priority is ready.
    #[inline(always)]
    pub fn is_ready(&self, priority: Priority) -> bool {
        !self.ready[priority as usize].is_empty()
    }

    /// Runs the first ready task of this priority. `false`: there is none.
    pub fn run_one(&self, priority: Priority) -> bool {
        let Some(index) = self.ready[priority as usize].pop() else { return false };
        let place = self.places.borrow()[index as usize].clone();
        place.task.is_queued.store(false, Ordering::Release);
        self.run(&place);
        true
    }

    /// Runs a task at once, if it is of normal priority and not queued: as if it had been woken when no other was ready. Any other
    /// is woken, `false`.
    #[inline]
    pub fn run_now(&self, index: u32) -> bool {
        let place = self.places.borrow()[index as usize].clone();
        let task = &place.task;
        let may_run = task.priority == Priority::Normal && !task.is_queued.load(Ordering::Acquire);
        if may_run {
            self.run(&place)
        } else {
            task.wake_by_ref()
        }
        may_run
    }

    #[inline]
    fn run(&self, place: &Place) {
        let Some(mut work) = place.work.take() else { return };
        let Place { waker, task, .. } = place;
        self.running.set(task.index);
        self.running_waker.set(Some((waker.data(), waker.vtable())));
        match work.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Pending => place.work.set(Some(work)),
            Poll::Ready(()) => self.free[task.priority as usize].borrow_mut().push(task.index),
        }
    }

    /// Remembers who waits with this waker: a task by its place, if it is the one that runs.
    #[inline]
    pub fn waits(&self, waiter: &mut Waiter, waker: &Waker) {
        let is_own = self.running_waker.get().is_some_and(|(data, functions)| {
            core::ptr::eq(data, waker.data()) && core::ptr::eq(functions, waker.vtable())
        });
        if is_own {
            waiter.task = self.running.get();
        } else if !waiter.other.as_ref().is_some_and(|known| known.will_wake(waker)) {
            waiter.other = Some(waker.clone());
        }
    }

    /// Wakes a task.
    #[inline(never)]
    pub fn wake(&self, index: u32) {
        self.places.borrow()[index as usize].task.wake_by_ref();
    }

    /// Drops every task, wherever it waits.
    pub fn end(&self) {
        // Dropped when nothing is borrowed: a task's end may wake others.
        let works: Vec<Work> = self.places.borrow().iter().filter_map(|place| place.work.take()).collect();
        drop(works);
    }
}
