"""torch doing fastlr's work on the CPU, where it is installed; the factories mirror peers_numpy.py."""

from importlib.util import find_spec


def torch_on(n_threads):
    """The module torch on this many threads, or None where it is not installed."""
    if find_spec("torch") is None:
        return None
    import torch

    torch.set_num_threads(n_threads)
    return torch


def loss_and_grad(torch, X, W, b, y):
    """Mean loss and gradient by autograd."""
    functional = torch.nn.functional
    X = torch.from_numpy(X)
    W, b = (torch.from_numpy(p).to(X.dtype).requires_grad_() for p in (W, b))
    if len(W) > 1:
        target, loss_of = torch.from_numpy(y).long(), functional.cross_entropy
    else:
        target, loss_of = torch.from_numpy(y).to(X.dtype)[:, None], functional.binary_cross_entropy_with_logits

    def run():
        W.grad = b.grad = None
        loss_of(functional.linear(X, W, b), target).backward()

    return run


def rows(torch, function, Z, out, y):
    """A row function by its fastlr name, or None where torch has no counterpart."""
    Z, out = torch.from_numpy(Z), torch.from_numpy(out)
    if function in ("softmax", "log_softmax"):
        compute = getattr(torch, function)
        return lambda: compute(Z, 1, out=out)
    if function == "logsumexp":
        result = torch.empty(len(Z), dtype=Z.dtype)
        return lambda: torch.logsumexp(Z, 1, out=result)
    if function == "sigmoid":
        return lambda: torch.sigmoid(Z, out=out)
    target = torch.from_numpy(y).long()
    Z.requires_grad_()

    def run():
        Z.grad = None
        torch.nn.functional.cross_entropy(Z, target).backward()

    return run
