use std::{fmt, sync::Arc};

/// The name of a zone: a region, a rack, a data centre.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Zone(Arc<str>);

impl Zone {
    /// The name as it was given.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Zone {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for Zone {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<Arc<str>> for Zone {
    fn from(name: Arc<str>) -> Self {
        Self(name)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.0)
    }
}

/// The zones that a request is to be sent to first, in this order; then come all the others.
///
/// A balancer has [one for all requests](super::Balance::prefer_zones); one in a request's extensions stands
/// over it:
///
/// ```
/// use http::Request;
/// use tower_failover::balance::ZoneOrder;
///
/// let mut request = Request::new(());
/// request.extensions_mut().insert(ZoneOrder::new(["eu-west", "eu-north"]));
/// ```
///
/// It orders the peers of one tier: a backup in the nearest zone comes after the last peer of an earlier
/// tier. Zones that no endpoint is in are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneOrder(Arc<[Zone]>);

impl ZoneOrder {
    /// Lists the zones, the nearest first.
    pub fn new<Z: Into<Zone>>(zones: impl IntoIterator<Item = Z>) -> Self {
        Self(zones.into_iter().map(Into::into).collect())
    }

    /// The zones, the nearest first.
    pub fn zones(&self) -> &[Zone] {
        &self.0
    }
}
