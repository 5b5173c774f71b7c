//! Containers as Docker describes them: elements of a list, an inspection, events, and the body that
//! creates one. They are as long as those of a Compose project with its usual labels.

use cetusguard_policy::guard::Json;

/// The container whose inspection has the usual size; others have an identifier and a name alone.
pub const INSPECTED: &str = "shop-web-0";

/// The scope of the views that are measured: every second container has this label.
pub const SCOPE: &str = "label=team=blue";

const LISTED: &str = include_str!("../objects/listed.json");
const INSPECTION: &str = include_str!("../objects/inspected.json");
const EVENT: &str = include_str!("../objects/event.json");
const CREATION: &str = include_str!("../objects/creation.json");

/// Builds the list of so many containers. Each takes some 1.5 KB, and every second one is in the
/// scope.
#[must_use]
pub fn list(count: usize) -> Vec<u8> {
    format!("[{}]\n", elements(count).join(",")).into_bytes()
}

/// Builds the elements of the list of so many containers.
#[must_use]
pub fn elements(count: usize) -> Vec<String> {
    let template = compact(LISTED);
    (0..count).map(|number| fill(&template, number)).collect()
}

/// Builds so many events of containers, of which every second one is in the scope.
#[must_use]
pub fn events(count: usize) -> Vec<String> {
    let template = compact(EVENT) + "\n";
    (0..count).map(|number| fill(&template, number)).collect()
}

/// Builds the inspection of [`INSPECTED`].
#[must_use]
pub fn inspection() -> Vec<u8> {
    (fill(&compact(INSPECTION), 0) + "\n").into_bytes()
}

/// Builds the body that creates a container.
#[must_use]
pub fn creation() -> String {
    fill(&compact(CREATION), 0)
}

/// Writes a template as engines write JSON, without blanks.
fn compact(template: &str) -> String {
    Json::read(template.as_bytes()).map_or_else(|error| error.to_string(), |json| json.to_string())
}

/// Writes the values of one container into a template.
fn fill(template: &str, number: usize) -> String {
    let team = if number.is_multiple_of(2) {
        "blue"
    } else {
        "red"
    };
    template
        .replace("{id}", &format!("{number:08x}").repeat(8))
        .replace("{number}", &number.to_string())
        .replace("{team}", team)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_json_of_the_usual_size() {
        let list = list(10);
        let read = Json::read(&list).expect("JSON");
        let is_blue = |one: &&Json<'_>| {
            let team = one.get("Labels").and_then(|labels| labels.get("team"));
            team.is_some_and(|team| team.text() == "blue")
        };
        assert_eq!(read.list().len(), 10);
        assert_eq!(read.list().iter().filter(is_blue).count(), 5);
        assert!((14_000..18_000).contains(&list.len()), "{}", list.len());
        let [event] = &events(1)[..] else {
            panic!("one event")
        };
        for text in [&inspection(), event.as_bytes(), creation().as_bytes()] {
            assert!(Json::read(text).is_ok(), "{}", text.escape_ascii());
        }
    }
}
