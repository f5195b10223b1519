#!/usr/bin/env bash
# Builds the image, pushes it to ECR and prints its URI with the digest, as the last line and the only one on stdout.
set -euo pipefail

usage() {
    cat <<'END'
Usage: build_and_push.sh NAME [options] [-- arguments for docker build]

Builds container/, pushes it to the ECR repository NAME under the git commit (with -dirty when what goes into the
image differs from it) and prints the image's URI with its digest. May be run again at any time, from any folder.

  --tag T                    a further tag; the only one outside a git repository
  --profile P                the profile of the aws CLI
  --region R                 otherwise AWS_REGION, AWS_DEFAULT_REGION or the profile's own
  --platform P               linux/amd64 (the default) or linux/arm64
  --immutable-tags           no tag of the repository can be given to another image from now on
  --expire-untagged-days N   let ECR delete images without a tag after N days, unless a lifecycle policy exists
  --help

Exit status: 0 pushed, or already there; 2 wrong usage; 3 something is missing here (aws CLI, engine, region,
credentials, git commit); 4 an immutable tag names another image; 5 SageMaker would reject the image; 1 the rest.
END
}

readonly WRONG_USAGE=2 MISSING=3 TAG_TAKEN=4 REJECTED=5
readonly SAGEMAKER_TAKES=application/vnd.docker.distribution.manifest.v2+json

context=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
readonly context

if [[ -t 2 ]]; then
    bold=$'\033[1m' red=$'\033[31m' plain=$'\033[0m'
else
    bold='' red='' plain=''
fi

step() {
    printf '%s▸ %s%s\n' "$bold" "$1" "$plain" >&2
}

say() {
    printf '  %s\n' "$1" >&2
}

# die STATUS MESSAGE
die() {
    printf '%s%s: %s%s\n' "$red" "$(basename "${BASH_SOURCE[0]}")" "$2" "$plain" >&2
    exit "$1"
}

# The line of a failed command's words that says why, in brackets, or nothing; the aws CLI begins with an empty one.
because() {
    local line
    line=$(grep -v '^[[:space:]]*$' "$scratch/said" | tail -n 1) || return 0
    printf ' (%s)' "$line"
}

# --- what was asked for ---------------------------------------------------------------------------------------------

name='' tag='' profile='' region='' platform=linux/amd64 immutable='' expire_days=''
build_arguments=()

parse() {
    while (($#)); do
        case $1 in
            --tag | --profile | --region | --platform | --expire-untagged-days)
                [[ -n ${2:-} ]] || die $WRONG_USAGE "$1 has no value. See --help."
                case $1 in
                    --tag) tag=$2 ;;
                    --profile) profile=$2 ;;
                    --region) region=$2 ;;
                    --platform) platform=$2 ;;
                    --expire-untagged-days) expire_days=$2 ;;
                esac
                shift
                ;;
            --immutable-tags) immutable=IMMUTABLE ;;
            --help | -h) usage && exit 0 ;;
            --)
                shift
                build_arguments=("$@")
                return
                ;;
            -*) die $WRONG_USAGE "there is no option $1. See --help." ;;
            *)
                [[ -z $name ]] || die $WRONG_USAGE "two names, $name and $1. Give one."
                name=$1
                ;;
        esac
        shift
    done
}

check_what_was_asked() {
    # The patterns are ECR's (CreateRepository) and the registry's (a tag).
    local name_pattern='^([a-z0-9]+([._-][a-z0-9]+)*/)*[a-z0-9]+([._-][a-z0-9]+)*$'
    local tag_pattern='^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$'
    [[ -n $name ]] || die $WRONG_USAGE "no name of a repository. See --help."
    [[ $name =~ $name_pattern && ${#name} -ge 2 && ${#name} -le 256 ]] ||
        die $WRONG_USAGE "'$name' is not a valid ECR repository name. Use 2 to 256 small letters, digits, and . _ - / between them."
    [[ -z $tag || $tag =~ $tag_pattern ]] ||
        die $WRONG_USAGE "'$tag' cannot be a tag. Use up to 128 letters, digits, _ . and -, not beginning with . or -."
    [[ $platform == linux/amd64 || $platform == linux/arm64 ]] ||
        die $WRONG_USAGE "the platform is '$platform'. Give linux/amd64 or, for Graviton instances, linux/arm64."
    [[ -z $expire_days || $expire_days =~ ^[1-9][0-9]*$ ]] ||
        die $WRONG_USAGE "--expire-untagged-days is '$expire_days'. Give a number of days, 1 or more."
}

# --- what has to be here --------------------------------------------------------------------------------------------

check_programs() {
    command -v aws >/dev/null ||
        die $MISSING "the aws CLI is not installed. Get it from https://aws.amazon.com/cli/ or with: pip install awscli"
    command -v curl >/dev/null || die $MISSING "curl is not installed. Install it with your system's packages."
    command -v docker >/dev/null ||
        die $MISSING "docker is not installed. Get it from https://docs.docker.com/engine/install/"
    docker version --format '{{.Server.Version}}' >/dev/null 2>"$scratch/said" ||
        die $MISSING "no Docker engine answers. Start it, then try again.$(because)"
}

aws_() {
    aws ${profile:+--profile "$profile"} ${region:+--region "$region"} "$@"
}

find_region() {
    region=${region:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}
    [[ -n $region ]] || region=$(aws_ configure get region 2>"$scratch/said") || region=''
    [[ -n $region ]] ||
        die $MISSING "no region is set. Give --region, or set AWS_REGION, or run: aws configure set region REGION$(because)"
}

find_account() {
    local no_credentials='credential|config profile|security token|(token|session)[^:]* (has )?expired|ExpiredToken'
    no_credentials+='|InvalidClientTokenId|SignatureDoesNotMatch|(^|[^[:alnum:]])SSO([^[:alnum:]]|$)|reauthenticate'
    account=$(aws_ sts get-caller-identity --query Account --output text 2>"$scratch/said") && return
    grep -Eqi "$no_credentials" "$scratch/said" || die 1 "AWS does not say who you are.$(because)"
    die $MISSING "there are no AWS credentials to work with${profile:+ in profile $profile}. Run aws configure or aws sso login, or give --profile.$(because)"
}

find_tags() {
    local commit
    tags=()
    if commit=$(git -C "$context" rev-parse --short=12 HEAD 2>"$scratch/said"); then
        [[ -z $(changes) ]] || commit+=-dirty
        tags+=("$commit")
    elif [[ -z $tag ]]; then
        die $MISSING "there is no git commit to name the image after. Give --tag.$(because)"
    fi
    [[ -z $tag ]] || tags+=("$tag")
}

# Prints what makes the image differ from the commit: changed files, and those that git does not know, be they ignored
# by git or not, unless .dockerignore, whose patterns git reads too, keeps them out of the image.
changes() {
    git -C "$context" status --porcelain --untracked-files=no -- .
    git -C "$context" ls-files --others --exclude-from="$context/.dockerignore" -- . 2>"$scratch/said"
}

# --- the repository -------------------------------------------------------------------------------------------------

# look_up_repository: sets repository and mutability, or repository to nothing where there is none.
look_up_repository() {
    local said
    repository='' mutability=''
    if said=$(aws_ ecr describe-repositories --repository-names "$name" \
        --query 'repositories[0].[repositoryUri,imageTagMutability]' --output text 2>"$scratch/said"); then
        read -r repository mutability <<<"$said"
    else
        grep -q RepositoryNotFoundException "$scratch/said" ||
            die 1 "ECR does not show the repository $name.$(because)"
    fi
}

# ecr WORDS: does it, or says in one line what ECR answered.
ecr() {
    aws_ ecr "$@" --output text 2>"$scratch/said" || die 1 "aws ecr $1 failed.$(because)"
}

ensure_repository() {
    look_up_repository
    if [[ -z $repository ]]; then
        ecr create-repository --repository-name "$name" --image-tag-mutability "${immutable:-MUTABLE}" \
            --image-scanning-configuration scanOnPush=true >/dev/null
        look_up_repository
        say "$repository created: scanned on push, tags $mutability"
    elif [[ -n $immutable && $mutability == MUTABLE* ]]; then
        ecr put-image-tag-mutability --repository-name "$name" --image-tag-mutability IMMUTABLE >/dev/null
        look_up_repository
        say "$repository exists; its tags are $mutability from now on"
    else
        say "$repository exists, its tags are $mutability"
    fi
    [[ -z $expire_days ]] || ensure_lifecycle
}

ensure_lifecycle() {
    local policy present
    policy='{"rules":[{"rulePriority":1,"description":"untagged images","selection":{"tagStatus":"untagged",'
    policy+='"countType":"sinceImagePushed","countUnit":"days","countNumber":'$expire_days'},"action":{"type":"expire"}}]}'
    if present=$(aws_ ecr get-lifecycle-policy --repository-name "$name" \
        --query lifecyclePolicyText --output text 2>"$scratch/said"); then
        [[ $present == "$policy" ]] || say "the lifecycle policy that the repository has is left as it is"
    else
        ecr put-lifecycle-policy --repository-name "$name" --lifecycle-policy-text "$policy" >/dev/null
        say "untagged images expire after $expire_days days"
    fi
}

log_in() {
    local registry
    registry=$(ecr get-authorization-token --query 'authorizationData[0].proxyEndpoint')
    password=$(ecr get-login-password)
    # By a pipe: a here-string is a temporary file in bash before 5.1.
    printf '%s' "$password" |
        docker login --username AWS --password-stdin "${registry#*://}" >/dev/null 2>"$scratch/said" ||
        die 1 "docker login to ${registry#*://} failed.$(because)"
    # https://HOST or, where another registry answers, http://HOST:PORT; the repository follows the host.
    manifests=${registry%/}/v2/${repository#*/}/manifests
}

# --- the image ------------------------------------------------------------------------------------------------------

build() {
    local arguments=(--platform "$platform" ${build_arguments[@]+"${build_arguments[@]}"} --tag "$repository:${tags[0]}" "$context")
    if docker buildx version >/dev/null 2>&1; then
        # SageMaker takes neither attestations, which make an index of the image, nor OCI's media types.
        docker buildx build --provenance=false --sbom=false --output type=docker,oci-mediatypes=false \
            "${arguments[@]}" >&2 || die 1 "the build failed; the reason is above."
    else
        DOCKER_BUILDKIT=1 docker build "${arguments[@]}" >&2 ||
            die 1 "the build failed; the reason is above. (If docker asks for buildx, install its package docker-buildx or docker-buildx-plugin.)"
    fi
    image=$(docker image inspect --format '{{.Id}}' "$repository:${tags[0]}")
}

# fetch_manifest REFERENCE: sets status, media_type, digest, and keeps the body in $scratch/manifest.
fetch_manifest() {
    local accept="$SAGEMAKER_TAKES, application/vnd.docker.distribution.manifest.list.v2+json"
    accept+=', application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json'
    # The password goes in by a pipe: the arguments of a process are open to everyone on the machine.
    status=$(printf 'user = "AWS:%s"\n' "$password" | curl --config - --silent --show-error --location --max-time 60 \
        --header "Accept: $accept" --dump-header "$scratch/headers" --output "$scratch/manifest" \
        --write-out '%{http_code}' "$manifests/$1" 2>"$scratch/said") ||
        die 1 "the registry did not answer.$(because)"
    media_type=$(header content-type)
    digest=$(header docker-content-digest)
    [[ $status == 200 || $status == 404 ]] || die 1 "the registry answered $status when asked for $name:$1."
}

header() {
    tr -d '\r' <"$scratch/headers" |
        awk -v name="$1:" 'tolower($1) == name { value = $2 } END { sub(/;.*/, "", value); print value }'
}

# Is the manifest just fetched that of the image just built? A manifest names its image's id, unless the engine's
# image store calls an image by its manifest's digest.
is_our_image() {
    [[ $digest == "$image" ]] || grep -qF "$image" "$scratch/manifest" ||
        docker image inspect --format '{{join .RepoDigests "\n"}}' "$image" | grep -qxF "$repository@$digest"
}

# find_missing_tags: sets missing_tags; ends here when an immutable one is taken. With exclusions, as in
# IMMUTABLE_WITH_EXCLUSION, ECR alone knows which tags may move, and says so to the push.
find_missing_tags() {
    local each
    missing_tags=()
    for each in "${tags[@]}"; do
        fetch_manifest "$each"
        if [[ $status == 404 ]]; then
            missing_tags+=("$each")
        elif is_our_image; then
            say "$each is there already, with this very image"
        elif [[ $mutability == IMMUTABLE ]]; then
            die_of_taken_tag "$each" ", $digest"
        else
            say "$each moves here from $digest"
            missing_tags+=("$each")
        fi
    done
}

# die_of_taken_tag TAG WHICH
die_of_taken_tag() {
    die $TAG_TAKEN "the tag $1 of $name is immutable and names another image$2. Deploy that one, commit your changes, or give another --tag."
}

push() {
    local each
    for each in ${missing_tags[@]+"${missing_tags[@]}"}; do
        docker tag "$image" "$repository:$each"
        docker push "$repository:$each" >&2 2>"$scratch/said" && continue
        cat "$scratch/said" >&2
        # "tag invalid: The image tag 'v1' already exists ... because the tag is immutable."
        ! grep -Eqi 'ImmutableTag|is immutable' "$scratch/said" || die_of_taken_tag "$each" ''
        die 1 "the push of $repository:$each failed; the reason is above."
    done
}

check_pushed() {
    fetch_manifest "${tags[0]}"
    [[ $status == 200 && -n $digest ]] || die 1 "the registry does not show $name:${tags[0]} after the push (status $status)."
    [[ $media_type == "$SAGEMAKER_TAKES" ]] ||
        die $REJECTED "SageMaker would answer \"Unsupported manifest media type $media_type\" to $repository:${tags[0]}. $(remedy)"
    say "$media_type, which SageMaker takes"
}

remedy() {
    case $media_type in
        *index* | *list*)
            echo "It is an index of several manifests: build one platform, without attestations (docker buildx build --provenance=false --sbom=false)."
            ;;
        *oci*)
            echo "Build with docker buildx build --output type=docker,oci-mediatypes=false, or turn off the engine's containerd image store (Docker Desktop: Settings, General)."
            ;;
        *) echo "Push an image with one manifest of Docker's schema 2." ;;
    esac
}

main() {
    parse "$@"
    check_what_was_asked
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    check_programs
    find_tags
    find_region
    find_account

    step "1/5 Repository $name in account $account, region $region"
    ensure_repository
    step "2/5 Log in"
    log_in
    step "3/5 Build for $platform"
    build
    step "4/5 Push ${tags[*]}"
    find_missing_tags
    push
    step "5/5 Check what SageMaker will see"
    check_pushed
    printf '%s@%s\n' "$repository" "$digest"
}

main "$@"
