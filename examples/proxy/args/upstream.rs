use std::str::FromStr;

use tower_failover::balance::Endpoint;

use super::value::{checked, nearest, zone};

/// An upstream and its options: `http://host:port;weight=2;tier=1;zone=eu`.
///
/// Every `;` begins an option. One of the URL's own, which could only be in its path, is written `%3B`: were an
/// option that is not known taken for a part of the path, one that is misspelt would be.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamArg {
    pub(crate) url: String,
    pub(crate) weight: Option<u32>,
    pub(crate) tier: Option<u32>,
    pub(crate) zone: Option<String>,
}

const OPTIONS: [&str; 3] = ["weight", "tier", "zone"];

impl UpstreamArg {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            weight: None,
            tier: None,
            zone: None,
        }
    }

    fn set(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let (name, value) = (name.trim_end(), value.trim_start());
        let was_set = match name {
            "weight" => self.weight.replace(weight(value)?).is_some(),
            "tier" => self.tier.replace(tier(value)?).is_some(),
            "zone" => self.zone.replace(zone(value)?).is_some(),
            _ => return Err(unknown(option, name)),
        };
        if was_set {
            return Err(format!("`{name}` is given twice"));
        }
        Ok(())
    }
}

impl FromStr for UpstreamArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(';').map(str::trim);
        let mut upstream = Self::new(url(parts.next().unwrap_or_default())?);
        for option in parts {
            upstream.set(option)?;
        }
        Ok(upstream)
    }
}

fn url(text: &str) -> Result<String, String> {
    let (scheme, _) = text.split_once("://").unwrap_or_default();
    if scheme.eq_ignore_ascii_case("https") {
        return Err("this example speaks no TLS; write it as in `http://host:port`".into());
    }
    Ok(text.to_owned())
}

fn weight(text: &str) -> Result<u32, String> {
    let weight = text
        .parse()
        .map_err(|_| format!("weight: `{text}` is no number; write it as in `weight=2`"))?;
    checked(Endpoint::new("", ()).weight(weight))?;
    Ok(weight)
}

fn tier(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("tier: `{text}` is no number; write it as in `tier=1`"))
}

fn unknown(option: &str, name: &str) -> String {
    match nearest(name, OPTIONS) {
        Some(nearest) => format!("`{option}` is no option; did you mean `{nearest}=`?"),
        None => format!(
            "`{option}` is no option: they are {}; a `;` of the URL's own is written `%3B`",
            OPTIONS.map(|option| format!("{option}=")).join(", "),
        ),
    }
}
