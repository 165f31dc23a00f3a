/// How free a balancer is to choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freedom {
    /// Whether another balancer has chosen this one.
    pub(crate) inner: bool,
    /// Whether nothing is known that could keep the attempt from any peer.
    pub(crate) fresh: bool,
}

impl Freedom {
    /// Of a request that nobody keeps account of.
    pub(crate) const TOTAL: Self = Self {
        inner: false,
        fresh: true,
    };
}
