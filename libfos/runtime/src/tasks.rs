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
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
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

#[derive(Default)]
struct Ready {
    normal: Mutex<VecDeque<u32>>,
    idle: Mutex<VecDeque<u32>>,
}

struct TaskWaker {
    index: u32,
    priority: Priority,
    is_queued: AtomicBool,
    ready: Arc<Ready>,
}

impl TaskWaker {
    fn queue(&self) -> &Mutex<VecDeque<u32>> {
        match self.priority {
            Priority::Normal => &self.ready.normal,
            Priority::Idle => &self.ready.idle,
        }
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<TaskWaker>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<TaskWaker>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.queue().lock().push_back(self.index);
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

/// A runtime's tasks.
#[derive(Default)]
pub struct Tasks {
    places: RefCell<Vec<Rc<Place>>>,
    free: [RefCell<Vec<u32>>; 2],
    ready: Arc<Ready>,
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
    #[inline]
    pub fn is_ready(&self, priority: Priority) -> bool {
        !self.queue(priority).lock().is_empty()
    }

    /// Runs the first ready task of this priority. `false`: there is none.
    pub fn run_one(&self, priority: Priority) -> bool {
        let Some(index) = self.queue(priority).lock().pop_front() else { return false };
        let place = self.places.borrow()[index as usize].clone();
        place.task.is_queued.store(false, Ordering::Release);
        let Some(mut work) = place.work.take() else { return true };
        match work.as_mut().poll(&mut Context::from_waker(&place.waker)) {
            Poll::Pending => place.work.set(Some(work)),
            Poll::Ready(()) => self.free[priority as usize].borrow_mut().push(index),
        }
        true
    }

    /// Drops every task, wherever it waits.
    pub fn end(&self) {
        // Dropped when nothing is borrowed: a task's end may wake others.
        let works: Vec<Work> = self.places.borrow().iter().filter_map(|place| place.work.take()).collect();
        drop(works);
    }

    fn queue(&self, priority: Priority) -> &Mutex<VecDeque<u32>> {
        match priority {
            Priority::Normal => &self.ready.normal,
            Priority::Idle => &self.ready.idle,
        }
    }
}
