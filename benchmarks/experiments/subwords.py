"""Sentences as token numbers, and batches of sentences of like length."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from .sentence_pairs import Pair

PAD, BEGIN, END = 0, 1, 2


def subwords(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Byte pairs of both languages together (Sennrich et al. 2016), learned from the sentences to train on."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<pad>", "<begin>", "<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


@dataclass(frozen=True, slots=True)
class Batch:
    """int64 [B, N] token numbers, PAD behind each sentence, and int64 [B] how many there are. ``given`` begins with
    BEGIN, ``wanted`` ends with END: the same sentence, one place apart."""

    source: Tensor
    source_lengths: Tensor
    given: Tensor
    wanted: Tensor
    lengths: Tensor


Numbers = tuple[list[int], list[int]]


def numbers(pairs: Sequence[Pair], tokenizer: Tokenizer) -> list[Numbers]:
    return [(tokenizer.encode(pair.source).ids, tokenizer.encode(pair.target).ids) for pair in pairs]


def batches(rows: Sequence[Numbers], size: int, generator: random.Random) -> Iterator[Batch]:
    """Without end: sentences of like length together, the batches of an epoch in any order."""
    while True:
        order = sorted(range(len(rows)), key=lambda at: (len(rows[at][1]) + generator.randrange(8), generator.random()))
        cut = [order[start : start + size] for start in range(0, len(order), size)]
        generator.shuffle(cut)
        for places in cut:
            yield collate([rows[at] for at in places])


def collate(rows: Sequence[Numbers]) -> Batch:
    source, source_lengths = _padded([one for one, _ in rows])
    given, lengths = _padded([[BEGIN, *other] for _, other in rows])
    wanted, _ = _padded([[*other, END] for _, other in rows])
    return Batch(source, source_lengths, given, wanted, lengths)


def _padded(rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    lengths = torch.tensor([len(row) for row in rows])
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows]), lengths
