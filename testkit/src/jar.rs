//! Hides the manifest of a jar.
//!
//! Debian's jars name one another by absolute path in the `Class-Path` of their manifests, and Java
//! puts such entries before the rest of its own class path: a server of one version would load the
//! jars of whatever version is installed on the system. A server needs nothing from a manifest, so
//! the entry is given another name of the same length, in place, in both headers that name it.

const MANIFEST: &[u8] = b"META-INF/MANIFEST.MF";
const RENAMED: &[u8] = b"META-INF/MANIFEST.NO";

/// The headers which a name may follow: signature, and how many bytes before the name it stands.
const HEADERS: [(&[u8], usize); 2] = [(b"PK\x03\x04", 30), (b"PK\x01\x02", 46)];

/// Renames the manifest of a jar in place; a jar without one stays as it is.
pub(crate) fn hide_manifest(jar: &mut [u8]) {
    let mut at = 0;
    while at + MANIFEST.len() <= jar.len() {
        let named = jar[at..].starts_with(MANIFEST)
            && HEADERS.iter().any(|(signature, distance)| {
                at.checked_sub(*distance)
                    .is_some_and(|start| jar[start..].starts_with(signature))
            });
        if named {
            jar[at..at + RENAMED.len()].copy_from_slice(RENAMED);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_are_changed() {
        let mut jar = Vec::new();
        for (signature, distance) in HEADERS {
            jar.extend_from_slice(signature);
            jar.resize(jar.len() + distance - signature.len(), 0);
            jar.extend_from_slice(MANIFEST);
        }
        jar.extend_from_slice(b"stored text naming META-INF/MANIFEST.MF");
        let length = jar.len();
        hide_manifest(&mut jar);
        assert_eq!(jar.len(), length);
        let count = |what: &[u8]| jar.windows(what.len()).filter(|part| *part == what).count();
        assert_eq!((count(RENAMED), count(MANIFEST)), (2, 1));
    }
}
