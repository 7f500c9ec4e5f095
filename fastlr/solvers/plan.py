"""Which way to the optimum is worth its cost: sizes at which a sample, class blocks, the whole Hessian pay."""

from fastlr.model.memory import KEPT_VALUES
from fastlr.model.rows_base import SMALL
from fastlr.model.sample_size import ALL_ROWS, FEATURE_ROWS, SAMPLE_STEP
from fastlr.solvers.block_metric import BLOCK_ROWS
from fastlr.solvers.primal_dual import serves as keeps_probabilities

LEAST_STEP = 4  # of a sample whose passes are worth it
BLOCK_PASSES = 2  # or as many rows as cost the operations of so many passes, when they are first made
EARLY = 8  # passes over the sample, in the Hessian of a sample or a neighbour, and at least before class blocks
NEWTON_SIZE = 1000  # parameters whose Hessian is worth factorising
NEWTON_WORK = 2e8  # operations of one whole Hessian that are still cheaper than the other solvers' fixed costs
TINY_WORK = 1e6  # the same where a Hessian a pass costs no more than what surrounds it
BLOCK_COST = 3  # times the passes that class blocks cost, the class metric serves before
UNEVEN = 1e8  # ratio of penalty factors from which the Hessian is no longer like blocks of it: scales 10,000 fold apart


def solvers_of(objective, solver):
    """The solvers to run one after the other until one is done."""
    if solver != "auto":
        return [solver]
    if objective.size <= NEWTON_SIZE:
        exact_at_once = has_cheap_hessian(objective) or is_uneven(objective)
        return ["newton-cholesky"] if exact_at_once else ["lbfgs", "newton-cholesky"]
    return ["lbfgs"]


def has_cheap_hessian(objective, work=NEWTON_WORK):
    """Whether the whole Hessian costs no more than so many operations."""
    return objective.rows.n * objective.size**2 <= work


def is_uneven(objective):
    """Whether penalty factors are so far apart that blocks of the Hessian are no metric."""
    return objective.penalty.is_uneven(UNEVEN)


def pays_for_probabilities(objective):
    """Whether a Hessian a pass costs little, or fewer passes are worth it."""
    pays = has_cheap_hessian(objective, TINY_WORK) or (has_cheap_hessian(objective) and is_uneven(objective))
    return pays and keeps_probabilities(objective)


def blocks_fit(rows):
    """Whether a block for each class can be kept."""
    return not rows.is_sparse and rows.k * rows.d**2 <= KEPT_VALUES


def block_rows(rows, passes):
    """How many rows class blocks are made from: as many as cost the operations of so many passes, or what they need."""
    return max(BLOCK_ROWS * rows.d, passes * 4 * rows.n // rows.d, ALL_ROWS)


def blocks_cost(rows):
    """Passes to go without class blocks: some times the trips that these cost."""
    return BLOCK_COST * min(block_rows(rows, BLOCK_PASSES), rows.n) / rows.n * rows.k


def sample_step(rows):
    """Every how many-th row makes a sample whose solution is a start, None where none pays."""
    n_logits = rows.k if rows.loss == "softmax" else 1  # fitted to the same rows
    least = max(FEATURE_ROWS, n_logits) * rows.D
    many = min(rows.n // SAMPLE_STEP, KEPT_VALUES // 2 * rows.n // max(rows.n_values, 1))
    step = max(rows.n // max(least, many), rows.least_step)
    if step * least > rows.n:
        return None
    return step if step >= LEAST_STEP and rows.n_values > SMALL and samples_weigh(rows, step) else None


def samples_weigh(rows, step):
    """Whether every step-th row has about its share of the weights."""
    return 2 * step * rows.weight_of_every(step) > rows.total_weight
