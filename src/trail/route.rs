/// Where the next attempt may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To the peer that the last attempt chose, and to no other while it is there.
    Same { or_tried: bool },
    /// To a peer not tried yet; to a tried one only if `or_tried` and no other is left.
    Other { or_tried: bool },
}
