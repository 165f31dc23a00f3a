//! Simulated traffic: who gets how much of it, and what is lost, when peers fail, are slow, and come back.
//!
//! Requests arrive at a steady rate, whether those before them have been answered or not, and the clock stands
//! still while there is something to do: a minute of traffic takes a second, and has the same figures each
//! time.
//!
//! ```text
//! cargo test --test simulation -- --nocapture
//! ```

mod simulating {
    mod fast_failures;
    mod hashing;
    mod probing;
    mod restarts;
    mod shares;
    mod slow_peer;
    mod weights;
    mod world;
}
