"""A fit over the partitions of a Spark RDD: each gives sums over its rows, which treeReduce adds up.

    pip install pyspark scipy          (and Java 17 or later)
"""

import numpy as np
from pyspark.sql import SparkSession
from scipy.optimize import minimize

import fastlr

spark = SparkSession.builder.master("local[2]").getOrCreate()
digits, labels = fastlr.datasets.load_digits()
alpha = 1 / len(digits)                               # C = 1
rows = spark.sparkContext.parallelize(list(zip(digits, labels, strict=True)), 4)


def as_arrays(part):
    part = list(part)
    if part:                                          # partitions may be empty
        X, y = zip(*part, strict=True)
        yield np.array(X), np.array(y)


parts = rows.mapPartitions(as_arrays).cache()         # arrays once, not rows in each pass


def add(a, b):
    return tuple(x + y for x, y in zip(a, b, strict=True))


def objective(v):
    W, b = v[:640].reshape(10, 64), v[640:]

    def sums(part):
        return fastlr.partial_loss_and_grad(*part, W, b, scale=1 / 16, n_threads=1)

    loss, G, g, weight = parts.map(sums).treeReduce(add)
    value = loss / weight + alpha / 2 * np.sum(W * W)
    return value, np.concatenate([(G / weight + alpha * W).ravel(), g / weight])


options = {"maxiter": 100, "ftol": 1e-13, "gtol": 1e-8}
found = minimize(objective, np.zeros(650), jac=True, method="L-BFGS-B", options=options)
here = fastlr.LogisticRegression(scale=1 / 16, tol=1e-10).fit(digits, labels)
print(f"{found.nit} iterations, objective {found.fun:.9f}; of LogisticRegression {here.objective_:.9f}")
spark.stop()
