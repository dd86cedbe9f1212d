//! What is measured, how, and against what. `document` is the form of every result, `targets` the table of what each
//! key may cost and what stands beside it, `kernel` the suite that measures the kernel, `messages` the one that measures
//! channels, `costs` the one that measures what the simulator charges, `sim` the one that measures the simulator, `names` the one that measures naming in it, `counts` the tables of exact counts in docs/performance.md that tests compare with.

pub mod costs;
pub mod counts;
pub mod document;
pub mod kernel;
pub mod messages;
pub mod names;
pub mod sim;
pub mod targets;
