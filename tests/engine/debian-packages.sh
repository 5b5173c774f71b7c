# Downloads packages of another suite of Debian, with the mirror, the keyring and the settings of the
# machine's own APT sources: sourced, not run.
#
# APT works on folders of its own here: nothing is installed, and no file of the machine's changes.
# shellcheck shell=bash

# Prints the machine's APT sources as deb822 paragraphs, those of the older one-line format too. An
# option of that format that is a path is the keyring.
machine_sources() {
    local file sourcelist sourceparts
    eval "$(apt-config shell sourcelist Dir::Etc::sourcelist/f sourceparts Dir::Etc::sourceparts/d)"
    for file in "$sourcelist" "$sourceparts"/*.list; do
        [[ ! -r $file ]] || sed -nE "s/^deb\s+(\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)/\
Types: deb\nURIs: \3\nSuites: \4\nComponents: \5\nSigned-By: \2\n/p" "$file"
    done
    for file in "$sourceparts"/*.sources; do
        sed '/^#/d' "$file"
        echo
    done
}

# Prints `URI KEYRING` for each source with a suite of this machine's release. KEYRING is missing
# where the source names none: the keys that APT trusts for all sources apply then.
debian_archives() {
    local release
    release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    machine_sources | awk -v RS= -v FS='\n' -v release="$release" '{
        split("", field)
        for (i = 1; i <= NF; i++) {
            value = $i
            if (match(value, /^[A-Za-z-]+:/)) {
                name = tolower(substr(value, 1, RLENGTH - 1))
                value = substr(value, RLENGTH + 1)
            }
            field[name] = field[name] " " value " "
        }
        if (field["types"] !~ / deb / || field["enabled"] ~ / no /) next
        if (field["components"] !~ / main /) next
        if (field["suites"] !~ " (" release "|stable|testing|unstable|sid) ") next
        keyring = ""
        if (match(field["signed-by"], /[ =]\/[^ ,]+/) && field["signed-by"] !~ /BEGIN PGP/)
            keyring = substr(field["signed-by"], RSTART + 1, RLENGTH - 1)
        split(field["uris"], uris, " ")
        print uris[1], keyring
    }'
}

# Writes the configuration of an APT with one source: configure_apt FOLDER SUITE URI KEYRING
configure_apt() {
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
    touch "$1/status"
    echo "deb ${4:+[signed-by=$4] }$3 $2 main" >"$1/sources.list"
    {
        # A proxy, or how old an archive's index may be; the machine's hooks are left out.
        apt-config dump | grep '^Acquire::' | grep -v '^Acquire::IndexTargets'
        cat <<END
Acquire::Languages "none";
APT::Update::Error-Mode "any";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$1/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$1";
Dir::State::status "$1/status";
Dir::Cache "$1/cache";
// APT's own user cannot enter root's home, and would warn of it.
APT::Sandbox::User "root";
END
    } >"$1/apt.conf"
}

# Runs APT for a suite, in a folder, with the first mirror that can do all of it. The reason of a
# failure is on standard output: apt_of FOLDER SUITE ARGUMENT...
apt_of() {
    local folder=$1 suite=$2 archive keyring
    shift 2
    command -v apt-get >/dev/null || {
        echo "this machine has no APT"
        return 1
    }
    touch "$folder/log"
    while read -r archive keyring; do
        configure_apt "$folder" "$suite" "$archive" "$keyring"
        if (
            export APT_CONFIG=$folder/apt.conf
            cd "$folder"
            apt-get -qq update && apt-get -qq "$@"
        ) </dev/null &>"$folder/log"; then
            return 0
        fi
    done < <(debian_archives)
    grep -m 1 '^E:' "$folder/log" || echo "no APT source of this machine is its release's"
    return 1
}

# Downloads packages into a folder: download_packages FOLDER SUITE PACKAGE...
download_packages() {
    local folder=$1 suite=$2
    shift 2
    apt_of "$folder" "$suite" download "${@/%//$suite}"
}

# Downloads packages, and all that they depend on as if nothing were installed, into FOLDER/cache/archives:
# download_with_dependencies FOLDER SUITE PACKAGE...
download_with_dependencies() {
    local folder=$1 suite=$2
    shift 2
    apt_of "$folder" "$suite" --yes --no-install-recommends --download-only install "$@"
}
