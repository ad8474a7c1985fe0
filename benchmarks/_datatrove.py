"""Near-duplicates by ``datatrove``, in an interpreter of its own: its packages are not ours.

Run by ``benchmarks.clean_speed`` as ``PYTHON _datatrove.py TEXTS BANDS ROWS WORDS``, with a JSON
list of texts; it prints the processor's seconds of its four steps, and how many texts they keep.
Words are split at spaces, which takes a fraction of the time of spaCy, its default.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["LOGURU_LEVEL"] = "ERROR"

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.utils.word_tokenizers import WordTokenizer


class Spaces(WordTokenizer):
    """Words between spaces."""

    def word_tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        """Return it as one sentence."""
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Return it as one span."""
        return [(0, len(text))]


def main() -> None:
    """Find near-duplicates, and print what it took."""
    texts = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    buckets, rows, words = map(int, sys.argv[2:])
    config = MinhashConfig(n_grams=words, num_buckets=buckets, hashes_per_bucket=rows)
    with tempfile.TemporaryDirectory(prefix="datatrove-") as folder:
        start = time.process_time()
        documents = [Document(text=text, id=str(number)) for number, text in enumerate(texts)]
        signatures = MinhashDedupSignature(f"{folder}/signatures", config, Spaces())
        signatures.run(iter(documents))
        for bucket in range(buckets):
            pairs = MinhashDedupBuckets(
                f"{folder}/signatures", f"{folder}/pairs", config=config, lines_to_buffer=1000
            )
            pairs.run(rank=bucket, world_size=buckets)
        MinhashDedupCluster(f"{folder}/pairs", f"{folder}/remove", config).run()
        kept = sum(1 for _ in MinhashDedupFilter(f"{folder}/remove").run(iter(documents)))
        seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "kept": kept}))


if __name__ == "__main__":
    main()
