#!/usr/bin/env bash
# Builds the image of the Containerfile, and tries it: that nothing to go on with is in it, and that it answers, as a
# user who may nothing, on a root that cannot be written. For Debian, as root, with buildah (apt-get install buildah),
# npm and curl. No container engine is needed, and no image of others: under the names of the Containerfile's bases
# stand images that are made of this machine's shell and npm, and of the project's Node.js. It takes a minute or two.
set -euo pipefail
cd "$(dirname "$0")/.."

PORT=${PORT:-4790}
image=localhost/participant-gateway:try
certificates=/etc/ssl/certs/ca-certificates.crt
node=$(readlink -f node_modules/.bin/node)
folder=$(mktemp -d)
gateway=
trap '[ -z "$gateway" ] || kill -9 "$gateway" 2>/dev/null || true; rm -rf "$folder"' EXIT

# Without layers of the kernel's: they do not work everywhere.
buildah() {
  command buildah --root "$folder/storage" --runroot "$folder/run" --storage-driver vfs "$@"
}

fail() {
  echo "$*" >&2
  exit 1
}

# A program, to a path below a root, with the libraries that it is linked with.
copy_program() { # program root path
  install -D "$1" "$2$3"
  for library in $(ldd "$1" | grep -o '/[^ ]*'); do
    [ -e "$2$library" ] || install -D "$library" "$2$library"
  done
}

# An image of what is in a folder, under the name that the Containerfile has for it.
commit_base() { # folder argument
  install -D -m 644 "$certificates" "$1$certificates"
  container=$(buildah from scratch)
  buildah copy --quiet "$container" "$1" / >/dev/null
  buildah commit --quiet "$container" "$(sed -n "s/^ARG $2=//p" Containerfile)" >/dev/null
  buildah rm "$container" >/dev/null
}

copy_program "$node" "$folder/runtime" /nodejs/bin/node
commit_base "$folder/runtime" RUNTIME

copy_program "$node" "$folder/build" /usr/bin/node
for program in env gzip mkdir rm tar; do
  copy_program "$(command -v "$program")" "$folder/build" "/usr/bin/$program"
done
copy_program /bin/sh "$folder/build" /bin/sh
mkdir -p "$folder/build"/{etc,root,tmp,usr/lib/node_modules}
echo 'root:x:0:0:root:/root:/bin/sh' >"$folder/build/etc/passwd"
npm_folder=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
cp -r "$npm_folder" "$folder/build/usr/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$folder/build/usr/bin/npm"
commit_base "$folder/build" BUILD

npmrc=$folder/npmrc
printf 'cafile=%s\n' "$certificates" >"$npmrc"
[ ! -e ~/.npmrc ] || cat ~/.npmrc >>"$npmrc"
buildah bud --isolation chroot --pull-never --format docker --secret "id=npmrc,src=$npmrc" \
  --file Containerfile --tag "$image" .
buildah inspect --type image --format \
  'user {{.Docker.Config.User}}, entrypoint {{.Docker.Config.Entrypoint}}, health {{.Docker.Config.Healthcheck.Test}}' \
  "$image"
echo

root=$(buildah mount "$(buildah from "$image")")
echo "size: $(du -sm "$root/app" | cut -f1) MiB of the gateway, $(du -sm "$root" | cut -f1) MiB with its base"
unwanted=$(find "$root" -regextype posix-extended \( -type f -o -type l \) -perm /111 \
  -regex '.*/((ba|da|z|k|c)?sh|busybox|env|npm|npx|corepack|yarn|pnpm|apt.*|dpkg.*|curl|wget|tar|perl|python.*)')
[ -z "$unwanted" ] || fail "There is what should not be: $unwanted"
[ ! -e "$root/run/secrets/npmrc" ] || fail 'The registry credentials are in the image.'
echo "programs: $(find "$root" -type f -perm /111 -exec sh -c 'head -c 4 "$1" | grep -q ELF' _ {} \; -print | grep -v '\.so' | sed "s,$root,," | tr '\n' ' ')"

# As a container engine has it: /proc and /dev, the rest read-only, and the user of the image.
mkdir -p "$root/proc" "$root/dev"
chroot=$(command -v chroot)
in_container() { # command…
  exec unshare --mount sh -c '
    mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" || exit
    mount -o remount,bind,ro "$0"
    exec env -i NODE_ENV=production HOST=0.0.0.0 "PORT=$PORT" SANDBOX=on AUTH_MODE=none "$@"' \
    "$root" "$chroot" --userspec=65532:65532 --groups=65532 "$root" "$@"
}
# Those of the image, so that a flag which its Node.js does not know shows.
mapfile -t entrypoint < <(buildah inspect --type image --format '{{range .Docker.Config.Entrypoint}}{{println .}}{{end}}' "$image" | grep .)
export PORT

(in_container "${entrypoint[@]}" serve) >"$folder/log" 2>&1 &
gateway=$!
health=
for _ in $(seq 50); do
  health=$(in_container "${entrypoint[@]}" health --ready 2>/dev/null) && break
  sleep 0.2
done
[ -n "$health" ] || fail "It does not become healthy: $(cat "$folder/log")"
echo "health: $health"

written=$(in_container /nodejs/bin/node -e '
  for (const folder of ["/", "/app", "/tmp", "/etc"]) {
    try { fs.writeFileSync(folder + "/file", ""); console.log(folder); } catch {}
  }')
[ -z "$written" ] || fail "It can write to $written"
answer=$(curl --silent --show-error "http://127.0.0.1:$PORT/graphql" --header 'content-type: application/json' \
  --data '{"query":"{ batchStatus(participantType: \"vehicles\", batchId: \"batch-partial\") { status progress } }"}')
[ "$answer" = '{"data":{"batchStatus":{"status":"PARTIAL_SUCCESS","progress":1}}}' ] || fail "It answers: $answer"
echo "answer: $answer, as user $(ps -o uid= -p "$gateway" | tr -d ' ')"

kill -TERM "$gateway"
wait "$gateway" || fail "It ended with exit code $?: $(cat "$folder/log")"
gateway=
echo 'SIGTERM: exit code 0'
