//! Rule sets of three sizes, as users write them.

use std::fmt::Write;

/// The documentation's first rule set: seven rules.
pub const SEVEN: &str = "\
GET %API_PREFIX_EVENTS%
GET,HEAD,POST %API_PREFIX_EXEC%(/.*)?
GET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?
GET,HEAD %API_PREFIX_IMAGES%(/.*)?
GET,HEAD %API_PREFIX_VOLUMES%(/.*)?
GET,HEAD %API_PREFIX_NETWORKS%(/.*)?
GET,HEAD %API_PREFIX_BUILD%(/.*)?
";

/// Ten rules for one service: by name, by variable, by image. Image references are the largest
/// expressions that there are.
fn service(name: &str) -> String {
    format!(
        "GET %API_PREFIX_CONTAINERS%/{name}/json\n\
         GET %API_PREFIX_CONTAINERS%/{name}/(logs|stats|top)\n\
         POST %API_PREFIX_CONTAINERS%/{name}/(start|stop|restart)\n\
         GET,HEAD %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/{name}\n\
         GET %API_PREFIX_IMAGES%/%IMAGE_ID_OR_REFERENCE%/json # {name}\n\
         GET %API_PREFIX_IMAGES%/registry\\.example\\.com/{name}(:%IMAGE_TAG%)?/json\n\
         POST %API_PREFIX_IMAGES%/%IMAGE_REFERENCE%/tag # {name}\n\
         GET %API_PREFIX_VOLUMES%/{name}-%VOLUME_NAME%\n\
         GET %API_PREFIX_NETWORKS%/%NETWORK_ID_OR_NAME%/{name}\n\
         POST %API_PREFIX_EXEC%/{name}/(start|resize)\n"
    )
}

/// Paths that such sets are asked about: some match, some do not.
pub const PATHS: [&str; 8] = [
    "/v1.43/containers/json?all=1",
    "/v1.43/containers/app-3/json",
    "/v1.43/containers/3fd2a1b0c9e8/logs",
    "/v1.43/images/json",
    "/v1.43/images/ghcr.io/library/thing:1.2.3/json",
    "/v1.43/volumes/app-5-data",
    "/v1.43/networks/app-7",
    "/v1.43/events",
];

/// The sets that are measured, by name.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    let names = cetusguard_policy::rule::VARIABLES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !name.starts_with('_'));
    vec![
        ("built-in rules".to_owned(), String::new()),
        ("7 rules".to_owned(), SEVEN.to_owned()),
        ("70 rules".to_owned(), services(7)),
        ("700 rules".to_owned(), services(70)),
        ("every variable".to_owned(), every_variable(names)),
    ]
}

/// Ten rules for each of so many services.
#[must_use]
pub fn services(count: usize) -> String {
    (0..count).fold(String::new(), |rules, at| {
        rules + &service(&format!("app-{at}"))
    })
}

/// A rule for each variable that names a part of the API.
#[must_use]
pub fn every_variable<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.fold(String::new(), |mut rules, name| {
        let rule = if name.starts_with("API_PREFIX") {
            format!("%{name}%(/.*)?")
        } else {
            format!("/x/%{name}%")
        };
        // Writing to a string cannot fail.
        let _ = writeln!(rules, "GET {rule}");
        rules
    })
}
