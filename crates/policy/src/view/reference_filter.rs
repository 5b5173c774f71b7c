//! The filter of a list of images by name, compared with the names that a client sees.

use crate::guard::{Json, fold};
use crate::request::call::Call;
use crate::text::pattern::Pattern;

/// The names by which a client filters a list of images. The engine compares them with all names of
/// an image, and so would tell which hidden names exist.
#[derive(Debug)]
pub(super) struct ReferenceFilter(Vec<String>);

impl ReferenceFilter {
    /// Reads the filter of a call; `None` if it has none.
    pub(super) fn of_call(call: &Call) -> Option<Self> {
        let mut references = Vec::new();
        for (name, value) in call.parameters()? {
            match fold(&name).as_ref() {
                // Old versions of the API have one of its own.
                "filter" if !value.is_empty() => references.push(value),
                "filters" => references.extend(of_filters(&value)),
                _ => {}
            }
        }
        (!references.is_empty()).then_some(Self(references))
    }

    /// Returns whether the filter is the beginning of an identifier, as Podman takes it.
    pub(super) fn fits_identifier(&self, id: &str) -> bool {
        let digits = |id: &str| id.strip_prefix("sha256:").unwrap_or(id).to_owned();
        let id = digits(id);
        self.0
            .iter()
            .map(|reference| digits(reference))
            .any(|start| !start.is_empty() && id.starts_with(&start))
    }

    /// Returns whether the filter fits a name of an image in one of its forms: with or without its
    /// registry, its path and its tag (Podman's `filterReferences`, moby's `FamiliarMatch`). Of the
    /// signs of a pattern, the star alone is known: a filter with others fits nothing.
    pub(super) fn fits_name(&self, name: &str) -> bool {
        let untagged = without_tag(name);
        let forms = [name, untagged].into_iter().flat_map(|form| {
            let path = form
                .split_once('/')
                .filter(|(first, _)| first.contains(['.', ':']) || *first == "localhost")
                .map(|(_, path)| path);
            let last = form.rsplit('/').next();
            [Some(form), path, last].into_iter().flatten()
        });
        let forms: Vec<_> = forms.collect();
        self.0
            .iter()
            .any(|reference| forms.iter().any(|form| fits(reference, form)))
    }
}

/// Returns the names in a filter, which stand in a list or are the keys of an object.
fn of_filters(text: &str) -> Vec<String> {
    let Ok(filters) = Json::read(text.as_bytes()) else {
        return Vec::new();
    };
    let values = filters
        .map()
        .iter()
        .filter(|(key, _)| fold(key) == "reference");
    let names = values.flat_map(|(_, values)| {
        let listed = values.list().iter().map(|value| value.text().to_owned());
        let keyed = values.map().iter().map(|(value, _)| value.to_string());
        listed.chain(keyed).collect::<Vec<_>>()
    });
    names.collect()
}

/// Returns a name without its tag and its digest.
fn without_tag(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    name[start..]
        .find(':')
        .map_or(name, |colon| &name[..start + colon])
}

/// Returns whether a pattern fits a name. A star stands for any text without a slash.
fn fits(pattern: &str, name: &str) -> bool {
    let (patterns, parts) = (pattern.split('/'), name.split('/'));
    patterns.clone().count() == parts.clone().count()
        && patterns
            .zip(parts)
            .all(|(pattern, part)| Pattern::new(pattern).fits(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_fits_the_forms_of_a_name() {
        for (filter, name, want) in [
            ("web", "ghcr.io/shop/web:1", true),
            ("web:1", "ghcr.io/shop/web:1", true),
            ("shop/web", "ghcr.io/shop/web:1", true),
            ("shop/*:1", "ghcr.io/shop/web:1", true),
            ("ghcr.io/shop/web", "ghcr.io/shop/web@sha256:12", true),
            ("ghcr.io/*/*", "ghcr.io/shop/web:1", true),
            ("web", "host:5000/web:1", true),
            ("ghcr.io/*", "ghcr.io/shop/web:1", false),
            ("g*1", "ghcr.io/shop/web:1", false),
            ("[w]eb", "web:1", false),
            ("we", "web:1", false),
        ] {
            let filter = ReferenceFilter(vec![filter.to_owned()]);
            assert_eq!(filter.fits_name(name), want, "{filter:?} {name}");
        }
    }
}
