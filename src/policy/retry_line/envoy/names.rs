/// What the lists are called where they were found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) retry_on: &'static str,
    pub(super) retry_grpc_on: &'static str,
    pub(super) num_retries: &'static str,
    pub(super) retriable_status_codes: &'static str,
    pub(super) retriable_header_names: &'static str,
    /// Whether `retry_on` holds gRPC's words too.
    pub(super) mixed: bool,
}

pub(super) const CONFIGURATION: Names = Names {
    retry_on: "retry_on",
    retry_grpc_on: "retry_grpc_on",
    num_retries: "num_retries",
    retriable_status_codes: "retriable_status_codes",
    retriable_header_names: "retriable_header_names",
    mixed: true,
};

pub(super) const REQUEST: Names = Names {
    retry_on: "x-envoy-retry-on",
    retry_grpc_on: "x-envoy-retry-grpc-on",
    num_retries: "x-envoy-max-retries",
    retriable_status_codes: "x-envoy-retriable-status-codes",
    retriable_header_names: "x-envoy-retriable-header-names",
    mixed: false,
};
