//! The watchdog's numbers, and what chose them: the scenario `watchdog` of the simulator, whose figures are in
//! docs/watchdog.md. What differs from fleet to fleet is not here but in `images/*.toml`.

use core::time::Duration;

/// How often the watchdog looks at the clock: a tenth of the usual beat, so that it adds a tenth to what noticing takes.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A look that comes later than this after the one before: the watchdog's own core was away, and nobody is to blame for
/// what was not heard meanwhile.
pub const LOOK_LATE_AFTER: Duration = Duration::from_millis(30);
/// The share of a new interval in the mean, and of a new difference in the deviation: as TCP's timer has them (RFC 6298,
/// section 2), whose question is the same one.
pub const MEAN_SHARE: u64 = 8;
/// See [`MEAN_SHARE`].
pub const DEVIATION_SHARE: u64 = 4;
/// So many deviations over the mean is silence: as in RFC 6298.
pub const DEVIATIONS: u64 = 4;
/// How long before a process that has no room for the question whether it lives is asked again.
pub const ASK_AGAIN_AFTER: Duration = Duration::from_millis(5);
/// How long root may take to end a process. A core whose kernel is silent is given up after twice ten seconds.
pub const FENCED_WITHIN: Duration = Duration::from_secs(30);
/// The wait before a second successor within a policy's time; it doubles with each one more.
pub const BACK_OFF: Duration = Duration::from_millis(100);
/// How long a first member may take to come before another is started.
pub const COMES_WITHIN: Duration = Duration::from_secs(5);
/// How long a core on which somebody was silent is avoided.
pub const AVOIDED_FOR: Duration = Duration::from_secs(30);
