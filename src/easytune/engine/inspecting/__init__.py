"""What loading an import in a job of its own tells: conversion, health card, behaviour."""
