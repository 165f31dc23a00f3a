/// Why [`Failover`](crate::Failover) ended an attempt that had not finished by itself.
///
/// It is written before the attempt's future is dropped, so that whoever is dropped with it can
/// tell a slow peer from a client that went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The peer did not answer within the per-try timeout.
    TimedOut,
    /// The overall deadline passed.
    Deadline,
    /// Another attempt has taken its place.
    Superseded,
    /// The client went away.
    Abandoned,
}
