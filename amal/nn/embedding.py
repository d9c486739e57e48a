"""The layer that holds a table of vectors."""

from torch import Tensor, nn

from amal import functional as F


class Embedding(nn.Embedding):
    """A table of vectors, with torch.nn.Embedding's arguments; see amal.functional.embedding.

    Shapes: input (*) of indices, output (*, embedding_dim), weight (num_embeddings, embedding_dim).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Look up the rows of the indices."""
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )
