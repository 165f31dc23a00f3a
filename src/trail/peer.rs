use std::{fmt, hash::Hash, sync::Arc};

/// The name of one upstream, cheap to clone and to compare.
///
/// Two peers are the same when their names are: a peer keeps its identity across an update of the
/// set it belongs to, and an address that is listed twice counts as one.
#[derive(Clone, Eq)]
pub struct Peer(Arc<str>);

impl Peer {
    /// Names a peer, by convention with its base URI or address.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as it was given.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Hash for Peer {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", self.0)
    }
}
