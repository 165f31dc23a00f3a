//! The strings that say a behaviour, and the file of the cases.

use std::collections::{BTreeMap, HashSet};

use crate::support::{
    cases::{self, At, NonIdempotent, ServedBy, Tier},
    scripted::{Behaviour, Scripted},
};

#[test]
fn a_parse_error_names_the_token() {
    for (text, token) in [
        ("h2_refused_stream", "h2_refused_stream"),
        ("tls_name_mismatch", "tls_name_mismatch"),
        ("local_overflow", "local_overflow"),
        ("local_response:401", "local_response"),
        ("upgrade:101", "upgrade"),
        ("", ""),
        ("refuse:now", "now"),
        ("hang;up", "up"),
        ("status:2oo", "2oo"),
        ("status:99", "99"),
        ("status:204:text", "text"),
        ("status:200;novalue", "novalue"),
        ("early_status:200;later", "later"),
        ("slow:soon:status:200", "soon"),
        ("slow:10:hang", "hang"),
        ("slow:10:status:200;novalue", "novalue"),
        ("body_cut:200:10:ten", "ten"),
        ("body_cut:200:10:10", "10"),
        ("body_cut:200:some:1", "some"),
        ("head_then_slow_body:200", "200"),
        ("informational:101;read_close", "101"),
        ("informational:103", "informational:103"),
        ("trailers_only:", ""),
    ] {
        let error = text.parse::<Behaviour>().unwrap_err().to_string();
        assert!(error.ends_with(&format!("`{token}`")), "{error}");
    }
}

#[test]
fn the_cases_are_all_there() {
    let cases = cases::load();
    let mut tiers = BTreeMap::new();
    let mut ids = HashSet::new();
    for case in &cases {
        *tiers.entry(case.tier).or_insert(0) += 1;
        assert!(ids.insert(&case.id), "{} is there twice", case.id);
    }
    let expected = [
        (Tier::Core, 68),
        (Tier::Option, 19),
        (Tier::Conflict, 8),
        (Tier::Hedge, 13),
        (Tier::Budget, 7),
        (Tier::Health, 9),
        (Tier::Body, 6),
    ];
    assert_eq!(tiers, BTreeMap::from(expected));
}

#[test]
fn the_cases_agree_with_themselves() {
    for case in cases::load() {
        let id = &case.id;
        let names: Vec<_> = case.upstreams.iter().map(|u| &u.name).collect();
        if let ServedBy::Upstream(name) = &case.expect.served_by {
            assert!(names.contains(&name), "{id}: {name}");
        }
        let by: usize = case.expect.attempts_by.values().sum();
        assert!(by == 0 || Some(by) == case.expect.attempts, "{id}");
        let steps = &case.request.body_schedule;
        let bytes: usize = steps.iter().map(|step| step.bytes).sum();
        assert!(steps.is_empty() || bytes == case.request.body_bytes, "{id}");
        let ends = steps.iter().rposition(|step| step.end || step.trailers);
        assert!(ends.is_none_or(|end| end + 1 == steps.len()), "{id}");
        assert!(steps.iter().all(|s| s.at != At::AttemptStarted(0)), "{id}");
        let reused = case.config.non_idempotent == NonIdempotent::Reused;
        assert_eq!(reused, ["png-02", "png-03"].contains(&id.as_str()), "{id}");
    }
}

#[tokio::test]
async fn the_cases_scripts_can_be_played() {
    let elsewhere = [
        "h2_refused_stream",
        "tls_name_mismatch",
        "local_overflow",
        "local_response:401",
    ];
    for case in cases::load() {
        // Only hedging needs a host that refuses after it has listened.
        for upstream in case.upstreams.iter().filter(|_| case.tier != Tier::Hedge) {
            let script: Result<Vec<Behaviour>, _> =
                upstream.script.iter().map(|text| text.parse()).collect();
            match script {
                Ok(script) => {
                    let upstream = Scripted::start(&upstream.name, script, upstream.cycle).await;
                    upstream.stop().await;
                }
                Err(error) => assert!(
                    upstream
                        .script
                        .iter()
                        .any(|text| elsewhere.contains(&text.as_str())),
                    "{}: {error}",
                    case.id
                ),
            }
        }
    }
}
