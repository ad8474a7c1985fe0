#!/bin/bash
# Makes the workspace of the upgrade fixture with the code of one commit, from real but tiny data.
#
#   make_workspace.sh CLONE COMMIT INTO
#
# CLONE   a checkout of the repository whose .venv is complete; it is read only
# COMMIT  the code that makes the workspace
# INTO    an empty or absent folder; INTO/ws is the workspace, INTO/prefect Prefect's state
#
# Needs no network and no GPU. 8 minutes on two cores that another training used as well.
set -euo pipefail

clone=$(realpath "$1") commit=$2 into=$(realpath -m "$3")
ws=$into/ws
mkdir -p "$into"
git clone --quiet --no-hardlinks "$clone" "$ws"
cd "$ws"
git -c advice.detachedHead=false checkout --quiet -B main "$commit"
git remote remove origin

# Invented people: Max trains, Ada reviews.
git config user.name "Max Trainer"
git config user.email "max@example.org"
git config commit.gpgSign false
reviewer="Ada Reviewer <ada@example.org>"
export LOGNAME=max USER=max
unset DOWNSTREAM_REVIEWER MLFLOW_TRACKING_URI PREFECT_API_URL PYTHONPATH 2>/dev/null || true

ln -s "$clone/.venv" .venv
echo /.venv >> .git/info/exclude      # .gitignore has `.venv/`, which is no link
export PATH="$ws/.venv/bin:$PATH" PREFECT_HOME="$into/prefect"
export CUDA_VISIBLE_DEVICES="" HF_HUB_OFFLINE=1 DO_NOT_TRACK=1 GX_ANALYTICS_ENABLED=false
export PREFECT_SERVER_ANALYTICS_ENABLED=false MLFLOW_DISABLE_TELEMETRY=true PYTHONDONTWRITEBYTECODE=1

step() { printf '\n=== %s  [%s s]\n' "$*" "$SECONDS"; }

# --- sources: one local file that is `dvc add`ed, one data set of an installed package -----------
git rm --quiet -r data/sources/reuters
mkdir -p data/sources/topics
# Reuters-21578 (R8): the sample that the tests have, the first 16 words of each text.
python - <<'PYTHON'
import csv
from pathlib import Path
with Path("tests/data/reuters-sample.csv").open(encoding="utf-8", newline="") as file:
    rows = [(" ".join(row["text"].split()[:16]), row["label"]) for row in csv.DictReader(file)]
with Path("data/sources/topics/topics.csv").open("w", encoding="utf-8", newline="") as file:
    csv.writer(file, lineterminator="\n").writerows([("text", "label"), *rows])
PYTHON
echo '{}' > data/sources/topics/pin.json
dvc add --quiet data/sources/topics/topics.csv

cat > params.yaml <<'YAML'
# A small workspace: two corpora, three backbones, three models.
seed: 0

corpora:
  topics:
    collect: {sources: [{kind: files, path: topics.csv}]}
    clean: {}
    split: {validation: 0.15, test: 0.25}
    validate: {}
  digits:
    collect: {sources: [{kind: sklearn, dataset: digits}]}
    clean: {}
    split: {validation: 0.1, test: 0.2}
    validate: {}

backbones:
  topics-bert:
    corpus: topics
    pretrain:
      objective: masked
      architecture: bert
      masked: {tokens: 32, vocabulary_size: 400}
      bert: {layers: 1, hidden_size: 16, heads: 2, positions: 32}
      training: {epochs: 2, batch_size: 16, learning_rate: 0.003}
  topics-vectors:
    corpus: topics
    pretrain:
      objective: skipgram
      architecture: wordvectors
      skipgram: {tokens: 32, vocabulary_size: 400}
      wordvectors: {hidden_size: 16}
      training: {epochs: 3}
  digits-autoencoder:
    corpus: digits
    pretrain:
      objective: reconstruction
      architecture: autoencoder
      autoencoder: {channels: 8, code_size: 16}
      training: {epochs: 2, learning_rate: 0.003}

models:
  topics-from-bert:  # champion 2, previous 1, candidate 3 that nobody has looked at
    backbone: topics-bert
    corpus: topics
    finetune: {epochs: 3, tokens: 32, batch_size: 16, learning_rate: 0.003}
    evaluate: {bootstrap_samples: 100, shown_examples: 1}
    register: {floors: {accuracy: 0.2}, review: {bootstrap_samples: 200, shown_examples: 2}}
  topics-from-vectors:  # champion 1, which is the candidate
    backbone: topics-vectors
    corpus: topics
    finetune: {epochs: 6, tokens: 32, batch_size: 16, learning_rate: 0.01}
    evaluate: {bootstrap_samples: 100, shown_examples: 1}
    register: {review: {bootstrap_samples: 200, shown_examples: 2}}
  digits-from-autoencoder:  # champion 1, candidate 2 whose review waits for a decision
    backbone: digits-autoencoder
    corpus: digits
    finetune: {epochs: 2, learning_rate: 0.001, twin: false}
    evaluate: {bootstrap_samples: 100, shown_examples: 1}
    register: {review: {policy: manual, bootstrap_samples: 200, shown_examples: 2}}
YAML
git add --all
git commit --quiet --message "A small workspace"

# --- the life of it ------------------------------------------------------------------------------
step "run 1: everything"
downstream run
git add dvc.lock && git commit --quiet --message "First results"

step "the first champions"
downstream review request
downstream review approve topics-from-bert --reviewer "$reviewer" --comment "the first one that works"
downstream review approve topics-from-vectors --reviewer "$reviewer" --comment "small and good enough"
downstream review approve digits-from-autoencoder --reviewer "$reviewer" --comment "reads digits"

step "run 2: longer finetuning of two models, not committed before the run"
downstream run --set models.topics-from-bert.finetune.epochs=8 \
    --set models.topics-from-bert.finetune.learning_rate=0.01 \
    --set models.digits-from-autoencoder.finetune.epochs=4
git commit --quiet --all --message "Longer finetuning"

step "second champion of topics-from-bert; the other candidate's review stays open"
downstream review request
downstream review approve topics-from-bert --reviewer "$reviewer" --comment "better on every class"

step "run 3: a candidate that nobody looks at"
sed -i 's/epochs: 8, tokens: 32, batch_size: 16, learning_rate: 0.01/epochs: 5, tokens: 32, batch_size: 16, learning_rate: 0.006/' params.yaml
git commit --quiet --all --message "Another rate"
downstream run
git add dvc.lock && git commit --quiet --message "Results of another rate"

step "what came out"
downstream plan --check
git status --short
downstream review list
