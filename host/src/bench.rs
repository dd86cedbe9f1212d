//! What is measured, how, and against what. `document` is the form of every result, `targets` the table of what each
//! key may cost and what stands beside it, `kernel` the suite that measures the kernel, `messages` the one that measures
//! channels and calls (`round_trips` beside Linux in a guest), `costs` the one that measures what the simulator charges,
//! `processes` the one that starts programs and waits for them, `pages` the one that measures memory (`fleet_of_pages` in the
//! simulator), `sim` the one that measures the simulator, `dpool` the one that
//! compares pools in it, `names` the one that measures naming in it, `machines` the guests that
//! measure, `counts` the tables of exact counts in docs/performance.md that tests compare with.

pub mod costs;
pub mod counts;
pub mod document;
pub mod dpool;
mod fleet_of_pages;
pub mod kernel;
pub mod machines;
pub mod messages;
pub mod names;
pub mod pages;
pub mod processes;
mod round_trips;
pub mod sim;
pub mod targets;
