//! S1 to S7: what is asked, and what the third of three upstreams does.

use crate::{
    Result,
    measuring::Upstreams,
    roles::Behaviour,
    systems::{Body, Found, Order, Setup, TakesPart},
};

/// How many connections the clients keep.
pub(super) const CONNECTIONS: u64 = 64;

/// Enough for a proxy to need an answer of its own upstream, and little enough not to measure copies.
const HEALTHY: Behaviour = Behaviour::Healthy(1024);

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(super) name: &'static str,
    pub(super) tells: &'static str,
    third: Behaviour,
    /// The bytes of each request's body; 0 is a GET.
    pub(super) body: u64,
}

impl Scenario {
    const fn new(name: &'static str, tells: &'static str, third: Behaviour, body: u64) -> Self {
        Self {
            name,
            tells,
            third,
            body,
        }
    }
}

const UPLOAD: u64 = 16 * 1024;

static SCENARIOS: [Scenario; 7] = [
    Scenario::new("S1", "GET, all healthy", HEALTHY, 0),
    Scenario::new("S2", "GET, one refuses", Behaviour::Refuses, 0),
    Scenario::new("S3", "GET, one answers 503", Behaviour::Unavailable(100), 0),
    Scenario::new("S4", "POST 16 KiB, all healthy", HEALTHY, UPLOAD),
    Scenario::new("S5", "POST 16 KiB, one refuses", Behaviour::Refuses, UPLOAD),
    Scenario::new("S6", "GET, one accepts and closes", Behaviour::Closes, 0),
    Scenario::new(
        "S7",
        "POST 16 KiB, one answers 503",
        Behaviour::Unavailable(100),
        UPLOAD,
    ),
];

/// Those that are named, or all.
pub(super) fn chosen<'a>(
    named: &'a [&'static Scenario],
) -> impl Iterator<Item = &'static Scenario> + 'a {
    let is_named = |scenario: &Scenario| named.iter().any(|named| named.name == scenario.name);
    SCENARIOS
        .iter()
        .filter(move |scenario| named.is_empty() || is_named(scenario))
}

impl Scenario {
    pub(super) fn named(name: &str) -> std::result::Result<&'static Self, String> {
        let mut all = SCENARIOS.iter();
        all.find(|scenario| scenario.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| "one of S1 to S7".to_owned())
    }

    pub(super) fn upstreams(&self) -> Result<Upstreams> {
        Upstreams::start(&[HEALTHY, HEALTHY, self.third])
    }

    /// What a proxy is told.
    pub(super) fn setup<'a>(&self, upstreams: &'a Upstreams) -> Setup<'a> {
        Setup {
            upstreams: &upstreams.addrs,
            connections: CONNECTIONS,
            body: match self.body {
                0 => Body::None,
                _ => Body::Held,
            },
            threads: 1,
            order: Order::InTurn,
            attempts: 3,
        }
    }

    pub(super) fn has(&self, found: &Found) -> bool {
        match found.system.takes_part {
            TakesPart::Everywhere => true,
            TakesPart::WhereNothingFails => self.third == HEALTHY,
        }
    }
}
